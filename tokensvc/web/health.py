"""`GET /healthz`: the process is alive. `GET /readyz`: the state of each of its dependencies.

Both answer from memory and wait for nothing, so that a dependency that hangs does not hang them.
Only an audit log that could not be written is tried again: a replica that is out of service for it
gets no requests, and nothing else would notice that it can be written again.
Ready means that the service can authenticate a caller and sign a token in every region now. A note
reports a problem that does not prevent this yet, such as a standby that can't be used: to take
every worker out of service for it would do more harm.

`/readyz?scope=replica` is for load balancers. It lists the same checks, and fails only for what is
wrong with this replica: if a fault that all replicas share took every one of them out of service,
an orchestrator would replace the whole fleet, which fixes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from flask import Blueprint, Response, jsonify, request

from tokensvc.access.oidc.callers import Issuer
from tokensvc.arns import Region
from tokensvc.audit import AuditEvent
from tokensvc.clock import Moment, rfc3339
from tokensvc.errors import (
    AuditUnavailable,
    ClockOff,
    CustodyDamaged,
    CustodyUnavailable,
    Draining,
    EntitlementUnavailable,
    InvalidRequest,
    IssuerUnavailable,
    NotificationFailed,
    Problem,
    SchemaUnsupported,
    SecretsNotRecorded,
    StateUnavailable,
    TokensvcError,
    Unavailable,
)
from tokensvc.keyring.view import RingView
from tokensvc.service import Service
from tokensvc.waiting import MustWait, no_waiting
from tokensvc.web import problems
from tokensvc.web.http1 import DRAINING
from tokensvc.web.identity import current_api_keys

T = TypeVar("T")

OF_REPLICA = (
    AuditUnavailable,
    ClockOff,
    CustodyDamaged,
    CustodyUnavailable,
    Draining,
    SchemaUnsupported,
    SecretsNotRecorded,
)
"""The errors that another replica need not have."""

RECONCILE_OVERDUE = "reconcile_overdue"
"""The code of a check, and of the finding of `tokensvc keys doctor`."""

_NO_API_KEY = (
    "No API key exists yet, so every request for a playback URL is refused. Create a key with"
    " `tokensvc api-keys create`."
)


@dataclass(frozen=True, slots=True)
class Check:
    """The state of one dependency.

    Attributes:
        name: the name of the dependency.
        error: the error of requests that need it; None when it is ready.
        notes: other problems that an operator should know about.
        code: the code of these problems, for a monitor; "" if they have none.
        facts: further members.
    """

    name: str
    error: TokensvcError | None = None
    notes: Sequence[str] = ()
    code: str = ""
    facts: Mapping[str, str | int | None] = field(default_factory=dict)

    @property
    def shown_code(self) -> str:
        """The code of the error or of the notes; "" if there is none."""
        return self.code if self.error is None else self.error.code

    @property
    def shown_notes(self) -> list[str]:
        """What anyone may read: not the error's own text, which may name paths."""
        return [*self.notes] if self.error is None else [problems.public_sentence(self.error)]

    def members(self) -> dict[str, object]:
        """The members that anyone may read."""
        return {
            "name": self.name,
            "ready": self.error is None,
            "code": self.shown_code,
            "notes": self.shown_notes,
            **self.facts,
        }


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with both routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @routes.get("/readyz")
    def readyz() -> Response:
        of_replica = _is_about_replica(request.args.get("scope"))
        checks = checks_of(service, is_draining=request.environ.get(DRAINING, False))
        listed = [check.members() for check in checks]
        failures = [
            (check.name, check.error)
            for check in checks
            if check.error is not None and (not of_replica or isinstance(check.error, OF_REPLICA))
        ]
        if not failures:
            return jsonify(status="ready", checks=listed)
        return problems.response(_not_ready(failures), checks=listed)

    return routes


def _is_about_replica(scope: str | None) -> bool:
    if scope not in {None, "replica"}:
        message = "scope must be `replica`, or absent."
        problem = Problem("scope", "enum", message)
        raise InvalidRequest(message, problems=(problem,))
    return scope is not None


def checks_of(service: Service, *, is_draining: bool) -> list[Check]:
    """The state of each dependency now."""
    moment = Moment.of(service.clock)
    rings = sorted(service.rings.items())
    return [
        Check("process", Draining("The service is stopping.") if is_draining else None),
        _api_keys_check(service, moment),
        _bans_check(service, moment),
        *(_ring_check(f"ring {region}", ring, moment) for region, ring in rings),
        _audit_check(service, moment),
        Check("clock", service.clock_watch.failure(moment)),
        *_reconcile_checks(service, moment),
        *_viewer_id_secrets_checks(service),
        *_issuer_checks(service, moment),
        *_entitlement_checks(service),
    ]


def _api_keys_check(service: Service, moment: Moment) -> Check:
    name = "api-keys"
    try:
        keys = _from_memory(lambda: current_api_keys(service, moment), service.api_keys.failure)
    except TokensvcError as exc:
        return Check(name, exc)
    notes = [] if keys.keys else [_NO_API_KEY]
    return Check(name, notes=notes)


def _bans_check(service: Service, moment: Moment) -> Check:
    name = "bans"
    try:
        age_seconds = int(service.bans.age_seconds(moment))
        max_age_seconds = service.access_max_age_seconds
        _from_memory(lambda: service.bans.within(max_age_seconds, moment), service.bans.failure)
    except TokensvcError as exc:
        return Check(name, exc)
    return Check(name, facts={"age_seconds": age_seconds})


def _ring_check(name: str, ring: RingView, moment: Moment) -> Check:
    try:
        _from_memory(lambda: ring.ring(moment), ring.failure)
        _from_memory(lambda: ring.active(moment), ring.custody_failure(moment))
        return Check(name, notes=_from_memory(lambda: ring.warnings(moment), ring.failure))
    except TokensvcError as exc:
        return Check(name, exc)


def _audit_check(service: Service, moment: Moment) -> Check:
    """The line that is written first after a failure says that decisions were refused for it."""
    failure = service.audit.failure
    if failure is not None:
        refusal = AuditEvent(at=moment.now, decision="refused", code=failure.code)
        with suppress(AuditUnavailable, MustWait), no_waiting():
            service.audit.write(refusal)
    return Check("audit", service.audit.failure)


def _reconcile_checks(service: Service, moment: Moment) -> Sequence[Check]:
    """When the key pairs were reconciled last. It never prevents signing, so it is only noted."""
    checks = [_reconcile_check(service, region, moment) for region in sorted(service.rings)]
    if (failure := service.reconciles.record().delivery_failure) is not None:
        note = f"Notifications are not accepted since {rfc3339(failure.since)}."
        return (*checks, Check("notifications", notes=[note], code=NotificationFailed.code))
    return (*checks, Check("notifications"))


def _viewer_id_secrets_checks(service: Service) -> Sequence[Check]:
    """Whether this process has the viewer ID secrets that the state records."""
    if service.oidc is None:
        return ()
    try:
        service.oidc.require_secrets()
    except TokensvcError as exc:
        return (Check("viewer-id-secrets", exc),)
    return (Check("viewer-id-secrets"),)


def _issuer_checks(service: Service, moment: Moment) -> Sequence[Check]:
    """Whether the keys of each issuer are known. API keys are accepted in any case."""
    return [
        _issuer_check(issuer, moment) for issuer in (service.oidc.issuers if service.oidc else ())
    ]


def _issuer_check(issuer: Issuer, moment: Moment) -> Check:
    name, keeper = f"issuer {issuer.terms.name}", issuer.keeper
    failure, age_seconds = keeper.failure, keeper.age_seconds(moment)
    fetched_at = None if age_seconds is None else rfc3339(moment.now - age_seconds)
    facts = {"keys_fetched_at": fetched_at}
    if keeper.usable(moment) is None:
        return Check(name, failure or IssuerUnavailable("No keys were fetched yet."), facts=facts)
    if failure is None:
        return Check(name, facts=facts)
    note = "The keys can't be fetched. The last ones are used until they are too old."
    return Check(name, notes=[note], code=failure.code, facts=facts)


def _entitlement_checks(service: Service) -> Sequence[Check]:
    """Whether the hook answers. Other grants need none, so it is only noted."""
    hook = service.entitlement_hook
    if hook is None:
        return ()
    if not hook.is_failing:
        return (Check("entitlement-hook"),)
    note = "The entitlement hook fails or does not answer: requests that need it are refused."
    return (Check("entitlement-hook", notes=[note], code=EntitlementUnavailable.code),)


def _reconcile_check(service: Service, region: Region, moment: Moment) -> Check:
    name, of_region = f"reconcile {region}", service.reconciles.record().region(region)
    if of_region is None:
        return Check(name)
    succeeded_at = of_region.succeeded_at
    facts = {
        "last_success_at": None if succeeded_at is None else rfc3339(succeeded_at),
        "last_attempt_at": rfc3339(of_region.attempted_at),
        "last_attempt_code": of_region.code,
    }
    if not service.reconciles.is_overdue(region, moment.now):
        return Check(name, facts=facts)
    note = "The key pairs were not reconciled for too long: no rotation goes on."
    return Check(name, notes=[note], code=RECONCILE_OVERDUE, facts=facts)


def _from_memory(read: Callable[[], T], failure: TokensvcError | None) -> T:
    """The result of `read`.

    Raises:
        TokensvcError: `read` would have to wait for a state that it has not read for too long:
            `failure`, the error of the last attempt, if it failed.
    """
    try:
        with no_waiting():
            return read()
    except MustWait:
        raise failure or StateUnavailable("The state was not read for too long.") from None


def _not_ready(failures: Sequence[tuple[str, TokensvcError]]) -> Unavailable:
    """One error for all failures, with the code of the first."""
    error_class = problems.unavailable_class(failures[0][1]) or Unavailable
    return error_class(
        "The service can't process every request right now; `errors` lists each cause.",
        hint="Run `tokensvc keys doctor` on a host of the service.",
        problems=tuple(
            Problem(name, error.code, problems.public_sentence(error)) for name, error in failures
        ),
    )
