"""`tokensvc keys list` and `keys show`: the key pairs in the rings and in IVS."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from tokensvc.arns import Region
from tokensvc.cli.invocation import EVERY_REGION, Invocation, pass_invocation, region_option
from tokensvc.cli.output import json_option, print_json, print_table, say_error
from tokensvc.clock import rfc3339
from tokensvc.errors import KeyNotFound, TokensvcError
from tokensvc.ivs.key_pairs import IvsKeyPairs
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.model import KeyPair, KeyState, Ring
from tokensvc.keyring.ownership import Owner, is_held, owner_of
from tokensvc.keyring.ring_document import RingStore

_TIMES = (
    "created_at",
    "published_at",
    "activated_at",
    "signing_ended_at",
    "delete_intended_at",
    "deleted_at",
    "destroyed_on",
    "compromised_at",
)


@dataclass(frozen=True, slots=True)
class _Row:
    """One key pair: recorded in a ring, held by IVS, or both.

    Attributes:
        region: its region.
        key_id: our ID, None for a pair that the ring has no record of.
        state: its state in the ring. Without a record its owner: `unrecorded`, `other_deployment`
            or `foreign`, as in the codes of the doctor's findings.
        in_ivs: whether IVS holds it; None when IVS could not be called.
        fingerprint: IVS's, None until the pair is created.
        arn: its ARN in IVS, if it has one.
        since: when it entered the state, RFC 3339, if that is recorded.
    """

    region: str
    key_id: str | None
    state: str
    in_ivs: bool | None
    fingerprint: str | None
    arn: str | None
    since: str | None

    def members(self) -> dict[str, str | bool | None]:
        """The members that programs see."""
        return {
            "region": self.region,
            "key_id": self.key_id,
            "state": self.state,
            "in_ivs": self.in_ivs,
            "fingerprint": self.fingerprint,
            "arn": self.arn,
            "since": self.since,
        }


@click.command(name="list")
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def list_keys(invocation: Invocation, region: str | None, *, as_json: bool) -> None:
    """List the key pairs in the rings and in IVS, including foreign key pairs.

    If IVS can't be called, the recorded key pairs are listed anyway. If a ring can't be read, the
    other regions are listed anyway. The exit status is then 1.

    Calls ListPlaybackKeyPairs and GetPlaybackKeyPair.
    """
    rows: list[_Row] = []
    is_complete = True
    for where in invocation.regions(region):
        held = _held_by_ivs(invocation, where)
        is_complete = is_complete and held is not None
        try:
            stored = RingStore(invocation.state, where).load()
        except TokensvcError as exc:
            # Without the ring, the owners of the pairs in IVS are unknown.
            say_error(exc)
            is_complete = False
        else:
            rows += _rows(where, stored.ring if stored else None, held)
    if as_json:
        print_json([row.members() for row in rows])
    else:
        print_table(
            ("REGION", "KEY", "STATE", "IN IVS", "SINCE", "FINGERPRINT", "ARN"),
            [
                (
                    row.region,
                    row.key_id or "-",
                    row.state,
                    {True: "yes", False: "no", None: "?"}[row.in_ivs],
                    row.since or "-",
                    row.fingerprint or "-",
                    row.arn or "-",
                )
                for row in rows
            ],
        )
    if not is_complete:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("key_id")
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def show(invocation: Invocation, key_id: str, region: str | None, *, as_json: bool) -> None:
    """Show everything that is recorded about KEY_ID, including its public key and history.

    Calls no operation of IVS.
    """
    ring, pair = _find(invocation, key_id, invocation.regions(region))
    members = _members(ring, pair)
    if as_json:
        print_json(members)
        return
    history = members.pop("history")
    public_key = members.pop("public_key")
    print_table(
        ("", ""), [(name, "-" if value is None else str(value)) for name, value in members.items()]
    )
    click.echo(f"\n{public_key or ''}")
    print_table(
        ("AT", "FROM", "TO", "BY", "WHY"),
        [
            (line["at"], line["from_state"] or "-", line["to_state"], line["by"], line["why"])
            for line in history
        ],
    )


def _held_by_ivs(invocation: Invocation, region: Region) -> Sequence[HeldKeyPair] | None:
    try:
        return IvsKeyPairs(invocation.clients, region).held()
    except TokensvcError as exc:
        say_error(exc)
        return None


def _rows(region: Region, ring: Ring | None, held: Sequence[HeldKeyPair] | None) -> Iterator[_Row]:
    for pair in ring.pairs if ring else ():
        yield _Row(
            region=region,
            key_id=pair.key_id,
            state=pair.state.value,
            in_ivs=None if held is None else is_held(pair, held),
            fingerprint=pair.public_key.fingerprint if pair.public_key else None,
            arn=str(pair.arn) if pair.arn else None,
            since=_since(pair),
        )
    for key_pair in held or ():
        owner = owner_of(ring, key_pair)
        if owner is not Owner.OURS:
            yield _Row(
                region=region,
                key_id=None,
                state=owner.value,
                in_ivs=True,
                fingerprint=key_pair.fingerprint,
                arn=str(key_pair.arn),
                since=None,
            )


def _since(pair: KeyPair) -> str | None:
    entered = {
        KeyState.PENDING: pair.created_at,
        KeyState.PUBLISHED: pair.published_at,
        KeyState.ACTIVE: pair.activated_at,
        KeyState.RETIRING: pair.signing_ended_at,
        KeyState.RETIRED: pair.deleted_at,
    }[pair.state]
    return None if entered is None else rfc3339(entered)


def _find(invocation: Invocation, key_id: str, regions: Sequence[Region]) -> tuple[Ring, KeyPair]:
    for region in regions:
        stored = RingStore(invocation.state, region).load()
        if stored is not None:
            with contextlib.suppress(KeyNotFound):
                return stored.ring, stored.ring.pair(key_id)
    raise KeyNotFound(
        f"No key pair {key_id!r} is recorded in {', '.join(regions)}.",
        hint="Run `tokensvc keys list` to see the recorded key pairs.",
    )


def _members(ring: Ring, pair: KeyPair) -> dict[str, Any]:
    public_key = pair.public_key
    return {
        "key_id": pair.key_id,
        "region": ring.region,
        "account_id": ring.account_id,
        "state": pair.state.value,
        "adopted": pair.adopted,
        "arn": pair.arn and str(pair.arn),
        "fingerprint": public_key and public_key.fingerprint,
        "thumbprint": public_key and public_key.thumbprint,
        **{name: _time(getattr(pair, name)) for name in _TIMES},
        "public_key": public_key and public_key.pem,
        "history": [
            {
                "at": rfc3339(line.at),
                "by": line.by,
                "from_state": line.from_state and line.from_state.value,
                "to_state": line.to_state.value,
                "why": line.why,
            }
            for line in ring.history
            if line.key_id == pair.key_id
        ],
    }


def _time(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else rfc3339(unix_seconds)
