"""`tokensvc keys revoke`: a stolen key pair stops, at once, and what that means is said first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

import click

from tokensvc.arns import Region
from tokensvc.cli.carrying_on import Regions
from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.invocation import (
    EVERY_REGION,
    Invocation,
    pass_invocation,
    reason_option,
    region_option,
)
from tokensvc.cli.output import say, say_error
from tokensvc.cli.stolen_sessions import revoke_audited_sessions
from tokensvc.errors import KeyNotFound, TokensvcError
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.keyring.store import RingStore
from tokensvc.settings.model import RotationSettings


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be revoked in one region."""

    ring: Ring
    key_ids: tuple[str, ...]


@click.command()
@click.argument("key_ids", metavar="[KEY]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Treat all that custody has as stolen.")
@region_option(EVERY_REGION)
@reason_option
@click.option(
    "--from-audit",
    "audit",
    type=click.File(encoding="utf-8", errors="replace"),
    help="Also stop the streams of the viewers that this audit log names under the keys.",
)
@yes_option
@pass_invocation
def revoke(
    invocation: Invocation,
    *,
    key_ids: tuple[str, ...],
    everything: bool,
    region: str | None,
    reason: str,
    audit: TextIO | None,
    yes: bool,
) -> None:
    """Emergency: KEY is stolen. Destroy it, delete it from IVS, and let another sign at once.

    What viewers will meet is said first. A step that fails is tried again by `tokensvc keys
    reconcile`; the key is not retired until its region confirms.

    Calls ListPlaybackKeyPairs, GetPlaybackKeyPair, DeletePlaybackKeyPair and, as needed,
    ImportPlaybackKeyPair; with a canary channel GetChannel; with --from-audit
    BatchStartViewerSessionRevocation.
    """
    if everything == bool(key_ids):
        raise click.UsageError("Name the keys, or give --all.")
    rings, unread = _rings(invocation, invocation.regions(region))
    if everything:
        orders, left_out = _everything(rings), unread
    else:
        orders, left_out = _named(rings, key_ids, unread), {}
    _tell(orders, left_out, invocation.settings.rotation)
    if orders:
        confirm("Revoke?", yes=yes)
    done = _carry_out(invocation, orders, reason) and not left_out
    if audit is not None and orders:
        every_id = [key_id for order in orders.values() for key_id in order.key_ids]
        done = revoke_audited_sessions(invocation, audit, every_id) and done
    if not done:
        raise click.exceptions.Exit(1)


def consequences(ring: Ring, key_ids: Sequence[str], rotation: RotationSettings) -> Iterator[str]:
    """What follows when those pairs are revoked, with numbers, a sentence each."""
    stolen = [ring.pair(key_id) for key_id in key_ids]
    for pair in stolen:
        match pair.state:
            case KeyState.RETIRED:
                yield f"{pair.key_id} is retired already: IVS does not hold it."
            case KeyState.ACTIVE | KeyState.RETIRING:
                yield (
                    f"{pair.key_id} is {pair.state}. IVS refuses the tokens that it signed at each "
                    "new start of playback, as soon as IVS has deleted it: at most those of the "
                    f"last {ring.terms.longest_ttl_seconds} s were still good."
                )
            case _:
                yield f"{pair.key_id} is {pair.state}: it has signed no token."
    if any(pair.state in (KeyState.ACTIVE, KeyState.RETIRING) for pair in stolen):
        yield (
            "A stream that plays goes on, a thief's too: IVS looks at a token when playback "
            "starts (believed). A viewer who starts again needs a new playback URL."
        )
    if any(pair.state is KeyState.ACTIVE for pair in stolen):
        yield _who_signs_instead(ring, key_ids)
        yield (
            f"Workers follow within {rotation.state_refresh_seconds} s; one that can't read the "
            f"state signs no more after {ring.terms.view_max_age_seconds} s. What they sign with "
            "the stolen key until then is refused."
        )


def _who_signs_instead(ring: Ring, key_ids: Sequence[str]) -> str:
    standby = ring.standby
    if standby is not None and standby.key_id not in key_ids:
        return f"{standby.key_id}, the standby, signs at once."
    return (
        "There is no standby that is not stolen: a fresh key pair is made, imported and signs at "
        f"once, without the {ring.terms.publish_delay_seconds} s in which IVS's edge gets to know "
        "it, so that its first tokens may be refused for moments. If IVS has no slot left for it, "
        "the stolen key goes first, and nothing is signed (no_signing_key) until the fresh one is "
        "in: for seconds, or until IVS answers again."
    )


def _tell(
    orders: Mapping[Region, _Order],
    left_out: Mapping[Region, TokensvcError],
    rotation: RotationSettings,
) -> None:
    for region, error in left_out.items():
        say(f"{region}: what is to be revoked there is not known.")
        say_error(error)
    for region, order in orders.items():
        for sentence in consequences(order.ring, order.key_ids, rotation):
            say(f"{region}: {sentence}")
    if not orders:
        say("There is no key pair to revoke.")


def _rings(
    invocation: Invocation, regions: Sequence[Region]
) -> tuple[Mapping[Region, Ring], Mapping[Region, TokensvcError]]:
    """The rings that there are, and why others can't be read: those don't stop an emergency."""
    rings: dict[Region, Ring] = {}
    unread: dict[Region, TokensvcError] = {}
    for region in regions:
        try:
            stored = RingStore(invocation.state, region).load()
        except TokensvcError as exc:
            unread[region] = exc
        else:
            rings |= {region: stored.ring} if stored else {}
    return rings, unread


def _everything(rings: Mapping[Region, Ring]) -> dict[Region, _Order]:
    orders = {}
    for region, ring in rings.items():
        alive = [pair.key_id for pair in ring.pairs if pair.state is not KeyState.RETIRED]
        if alive:
            orders[region] = _Order(ring, tuple(alive))
    return orders


def _named(
    rings: Mapping[Region, Ring], key_ids: Sequence[str], unread: Mapping[Region, TokensvcError]
) -> dict[Region, _Order]:
    orders: dict[Region, _Order] = {}
    for key_id in dict.fromkeys(key_ids):
        region = _region_of(rings, key_id, unread)
        earlier = orders[region].key_ids if region in orders else ()
        orders[region] = _Order(rings[region], (*earlier, key_id))
    return orders


def _region_of(
    rings: Mapping[Region, Ring], key_id: str, unread: Mapping[Region, TokensvcError]
) -> Region:
    for region, ring in rings.items():
        if any(pair.key_id == key_id for pair in ring.pairs):
            return region
    for error in unread.values():
        # The key may be in the ring that can't be read: that is what has to be mended.
        raise error
    raise KeyNotFound(
        f"No key pair {key_id!r} is recorded in {', '.join(rings) or 'any region'}; nothing was"
        " revoked.",
        hint="`tokensvc keys list` shows those that there are; --region names a region that the"
        " settings name no more.",
    )


def _carry_out(invocation: Invocation, orders: Mapping[Region, _Order], reason: str) -> bool:
    """Declare all of it first, then act; whether every region has done what can be done now."""
    rotators = {}
    for region, order in orders.items():
        try:
            rotators[region] = invocation.rotator(region)
            rotators[region].revoke(order.key_ids, reason)
        except TokensvcError as exc:
            say(f"{region}: nothing was declared stolen there.")
            say_error(exc)
            rotators.pop(region, None)
    ended = Regions(tuple(rotators), rotators.__getitem__, invocation.clock).one_pass()
    if ended.failed:
        say("What was declared stolen stays so: run `tokensvc keys reconcile` until it is done.")
    return not ended.failed and len(rotators) == len(orders)
