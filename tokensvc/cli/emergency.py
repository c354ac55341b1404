"""`tokensvc keys revoke`: revoke compromised key pairs at once, after printing the consequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

import click

from tokensvc.arns import Region
from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.compromised_sessions import revoke_audited_sessions
from tokensvc.cli.invocation import (
    EVERY_REGION,
    Invocation,
    pass_invocation,
    reason_option,
    region_option,
)
from tokensvc.cli.output import say, say_error
from tokensvc.cli.reconcile_loop import Regions
from tokensvc.errors import KeyNotFound, TokensvcError
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.ring_document import RingStore
from tokensvc.settings.model import RotationSettings


@dataclass(frozen=True, slots=True)
class _Revocation:
    """The key pairs to revoke in one region."""

    ring: Ring
    key_ids: tuple[str, ...]


@click.command()
@click.argument("key_ids", metavar="[KEY]...", nargs=-1)
@click.option("--all", "all_keys", is_flag=True, help="Treat every key in custody as compromised.")
@region_option(EVERY_REGION)
@reason_option
@click.option(
    "--from-audit",
    "audit",
    type=click.File(encoding="utf-8", errors="replace"),
    help="Also revoke the sessions of the viewers that this audit log names for the keys.",
)
@yes_option
@pass_invocation
def revoke(
    invocation: Invocation,
    *,
    key_ids: tuple[str, ...],
    all_keys: bool,
    region: str | None,
    reason: str,
    audit: TextIO | None,
    yes: bool,
) -> None:
    """Emergency: revoke a compromised KEY, and switch signing to another key pair at once.

    The private key is destroyed and the key pair is deleted from IVS. The consequences for viewers
    are printed first. `tokensvc keys reconcile` retries steps that fail; the key is not retired
    until IVS in its region confirms the deletion.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair, DeletePlaybackKeyPair and, as needed,
    ImportPlaybackKeyPair; with a canary channel GetChannel; with --from-audit
    BatchStartViewerSessionRevocation.
    """
    if all_keys == bool(key_ids):
        raise click.UsageError("Name at least one key, or use --all, but not both.")
    rings, unreadable = _load_rings(invocation, invocation.regions(region))
    if all_keys:
        revocations, skipped = _of_all_keys(rings), unreadable
    else:
        revocations, skipped = _of_named_keys(rings, key_ids, unreadable), {}
    _print_consequences(revocations, skipped, invocation.settings.rotation)
    if revocations:
        confirm("Revoke these key pairs?", yes=yes)
    done = _revoke(invocation, revocations, reason) and not skipped
    if audit is not None and revocations:
        revoked_ids = [key_id for one in revocations.values() for key_id in one.key_ids]
        done = revoke_audited_sessions(invocation, audit, revoked_ids) and done
    if not done:
        raise click.exceptions.Exit(1)


def consequences(ring: Ring, key_ids: Sequence[str], rotation: RotationSettings) -> Iterator[str]:
    """The consequences of revoking those pairs, with numbers; one message each."""
    revoked = [ring.pair(key_id) for key_id in key_ids]
    for pair in revoked:
        match pair.state:
            case KeyState.RETIRED:
                yield f"{pair.key_id} is already retired: IVS does not hold it."
            case KeyState.ACTIVE | KeyState.RETIRING:
                yield (
                    f"{pair.key_id} is {pair.state}. Once IVS has deleted it, playback can't start "
                    "with a token that it signed. This affects at most the tokens of the last "
                    f"{ring.terms.longest_ttl_seconds} s; older ones have expired."
                )
            case _:
                yield f"{pair.key_id} is {pair.state}: it has not signed any token."
    if any(pair.state in (KeyState.ACTIVE, KeyState.RETIRING) for pair in revoked):
        yield (
            "Sessions that are already playing continue, including those that an attacker "
            "started: IVS checks a token only when playback starts (believed). A viewer who starts "
            "again needs a new playback URL."
        )
    if any(pair.state is KeyState.ACTIVE for pair in revoked):
        yield _replacement(ring, key_ids)
        yield (
            f"Workers switch within {rotation.state_refresh_seconds} s. A worker that can't read "
            f"the state stops signing after {ring.terms.view_max_age_seconds} s. IVS refuses the "
            "tokens that workers sign with the compromised key until then."
        )


def _replacement(ring: Ring, key_ids: Sequence[str]) -> str:
    """The sentence about the key pair that becomes active in place of the revoked one."""
    standby = ring.standby
    if standby is not None and standby.key_id not in key_ids:
        return f"The standby {standby.key_id} becomes active at once."
    return (
        "No standby is left that is not compromised. A new key pair is created and imported, and "
        f"becomes active at once, without the {ring.terms.publish_delay_seconds} s in which IVS's "
        "edge learns about a new key. IVS may refuse its first tokens for a short time. If IVS has "
        "no free slot, the compromised key is deleted first. Then no playback URL is signed "
        "(no_signing_key) until IVS has imported the new key pair, which takes seconds when IVS "
        "answers."
    )


def _print_consequences(
    revocations: Mapping[Region, _Revocation],
    skipped: Mapping[Region, TokensvcError],
    rotation: RotationSettings,
) -> None:
    for region, error in skipped.items():
        say(f"{region}: skipped, because its ring can't be read.")
        say_error(error)
    for region, revocation in revocations.items():
        for sentence in consequences(revocation.ring, revocation.key_ids, rotation):
            say(f"{region}: {sentence}")
    if not revocations:
        say("There is no key pair to revoke.")


def _load_rings(
    invocation: Invocation, regions: Sequence[Region]
) -> tuple[Mapping[Region, Ring], Mapping[Region, TokensvcError]]:
    """The rings that exist, and the errors of those that can't be read.

    An unreadable ring must not stop an emergency in another region.
    """
    rings: dict[Region, Ring] = {}
    unreadable: dict[Region, TokensvcError] = {}
    for region in regions:
        try:
            stored = RingStore(invocation.state, region).load()
        except TokensvcError as exc:
            unreadable[region] = exc
        else:
            rings |= {region: stored.ring} if stored else {}
    return rings, unreadable


def _of_all_keys(rings: Mapping[Region, Ring]) -> dict[Region, _Revocation]:
    revocations = {}
    for region, ring in rings.items():
        alive = [pair.key_id for pair in ring.pairs if pair.state is not KeyState.RETIRED]
        if alive:
            revocations[region] = _Revocation(ring, tuple(alive))
    return revocations


def _of_named_keys(
    rings: Mapping[Region, Ring],
    key_ids: Sequence[str],
    unreadable: Mapping[Region, TokensvcError],
) -> dict[Region, _Revocation]:
    revocations: dict[Region, _Revocation] = {}
    for key_id in dict.fromkeys(key_ids):
        region = _region_of(rings, key_id, unreadable)
        earlier = revocations[region].key_ids if region in revocations else ()
        revocations[region] = _Revocation(rings[region], (*earlier, key_id))
    return revocations


def _region_of(
    rings: Mapping[Region, Ring], key_id: str, unreadable: Mapping[Region, TokensvcError]
) -> Region:
    for region, ring in rings.items():
        if any(pair.key_id == key_id for pair in ring.pairs):
            return region
    for error in unreadable.values():
        # The key may be in the ring that can't be read, so that error has to be fixed first.
        raise error
    raise KeyNotFound(
        f"No key pair {key_id!r} is recorded in {', '.join(rings) or 'any region'}. Nothing was"
        " revoked.",
        hint="Run `tokensvc keys list` to see the recorded key pairs. For a region that was removed"
        " from the settings, add --region REGION.",
    )


def _revoke(invocation: Invocation, revocations: Mapping[Region, _Revocation], reason: str) -> bool:
    """Mark all keys as compromised first, then act on them.

    Returns whether every region has done every step that is due.
    """
    rotators = {}
    for region, revocation in revocations.items():
        try:
            rotators[region] = invocation.rotator(region)
            rotators[region].revoke(revocation.key_ids, reason)
        except TokensvcError as exc:
            say(f"{region}: no key was marked as compromised.")
            say_error(exc)
            rotators.pop(region, None)
    ended = Regions(tuple(rotators), rotators.__getitem__, invocation.clock).reconcile_once()
    if ended.failed:
        say(
            "The keys stay marked as compromised. Run `tokensvc keys reconcile` until it reports"
            " that nothing is left to do."
        )
    return not ended.failed and len(rotators) == len(revocations)
