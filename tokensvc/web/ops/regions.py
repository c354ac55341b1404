"""The rings of the regions, for the operator's page."""

from __future__ import annotations

from tokensvc.arns import Region
from tokensvc.clock import rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyPair, Ring
from tokensvc.keyring.reporting.watching import ReconcileWatch
from tokensvc.keyring.steps import Action, Step
from tokensvc.keyring.upcoming import upcoming_step
from tokensvc.keyring.view import RingView
from tokensvc.service import Service
from tokensvc.web.ops.answers import OpsKeyPair, OpsReconcile, OpsRegion, OpsStep


def regions_of(service: Service, now: float) -> list[OpsRegion]:
    """The ring of each region as it was read last, at that time in Unix seconds."""
    return [_region(region, view, service, now) for region, view in sorted(service.rings.items())]


def _region(region: Region, view: RingView, service: Service, now: float) -> OpsRegion:
    ring = latest_ring(view)
    return OpsRegion(
        region=region,
        key_pairs=[] if ring is None else _key_pairs(ring),
        next_step=None if ring is None else _next_step(ring, service, now),
        rotation_request=_rotation_request(ring),
        rotation_pause=_rotation_pause(ring),
        reconcile=_reconcile(service.reconciles, region, now),
    )


def latest_ring(view: RingView) -> Ring | None:
    """The ring as it was read last, however old; None if there is none or it was not read yet."""
    try:
        return view.latest().value
    except TokensvcError:  # The view's own line says what is wrong.
        return None


def _key_pairs(ring: Ring) -> list[OpsKeyPair]:
    drained_at = {pair.key_id: ends_at for ends_at, pair in drain_ends(ring)}
    return [_key_pair(pair, drained_at.get(pair.key_id)) for pair in ring.pairs]


def _key_pair(pair: KeyPair, drained_at: float | None) -> OpsKeyPair:
    return OpsKeyPair(
        key_id=pair.key_id,
        state=pair.state.value,
        compromised=pair.is_compromised,
        adopted=pair.adopted,
        fingerprint=None if pair.public_key is None else pair.public_key.fingerprint,
        arn=None if pair.arn is None else str(pair.arn),
        created_at=rfc3339(pair.created_at),
        published_at=_time(pair.published_at),
        activated_at=_time(pair.activated_at),
        signing_ended_at=_time(pair.signing_ended_at),
        drained_at=None if pair.is_compromised else _time(drained_at),
        deleted_at=_time(pair.deleted_at),
        destroyed_on=_time(pair.destroyed_on),
        compromised_at=_time(pair.compromised_at),
    )


def _next_step(ring: Ring, service: Service, now: float) -> OpsStep | None:
    upcoming = upcoming_step(ring, now, keep_standby=service.keep_standby)
    if upcoming is None:
        return None
    step = upcoming.step
    if step.action is Action.INTEND_DELETE:
        step = Step(Action.DELETE, step.key_id)  # The same run does it, and people wait for it.
    return OpsStep(
        action=step.action.value,
        key_id=step.key_id,
        sentence=step.sentence,
        at=_time(upcoming.at),
        is_due=upcoming.is_due(now),
        why=upcoming.why,
    )


def _rotation_request(ring: Ring | None) -> str:
    request = None if ring is None else ring.rotation_request
    return "" if request is None else request.sentence


def _rotation_pause(ring: Ring | None) -> str:
    pause = None if ring is None else ring.rotation_pause
    if pause is None:
        return ""
    return f"{pause.by} paused it at {rfc3339(pause.since)}, with the reason: {pause.reason}."


def _reconcile(reconciles: ReconcileWatch, region: Region, now: float) -> OpsReconcile | None:
    run = reconciles.record().region(region)
    if run is None:
        return None
    return OpsReconcile(
        attempted_at=rfc3339(run.attempted_at),
        by=run.by,
        code=run.code,
        succeeded_at=_time(run.succeeded_at),
        is_overdue=reconciles.is_overdue(region, now),
    )


def _time(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else rfc3339(unix_seconds)
