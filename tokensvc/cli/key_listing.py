"""`tokensvc keys list` and `keys show`: what the rings record, beside what IVS holds."""

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
from tokensvc.keyring.store import RingStore

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
    """One key pair: recorded by us, held by IVS, or both.

    Attributes:
        region: its region.
        key_id: our ID, None for a pair that the ring has no record of.
        state: our state, or whose it is: `unrecorded`, `other_deployment` or `foreign`, as in the
            codes of the doctor's findings.
        in_ivs: whether IVS holds it; None when IVS could not be asked.
        fingerprint: IVS's, None until the pair is made.
        arn: its ARN in IVS, if it has one.
        since: when it came into that state, as far as is recorded.
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
    """List the key pairs, ours and strangers that IVS holds.

    Calls ListPlaybackKeyPairs and GetPlaybackKeyPair. Where IVS can't be asked, what is recorded is
    listed all the same, as are the other regions where a ring can't be read; the exit status is 1.
    """
    rows: list[_Row] = []
    is_complete = True
    for where in invocation.regions(region):
        held = _held(invocation, where)
        is_complete = is_complete and held is not None
        try:
            stored = RingStore(invocation.state, where).load()
        except TokensvcError as exc:
            # Whose the pairs in IVS are is not known without the ring.
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
    """Show all that is recorded of KEY_ID, its public half and history included.

    Calls no operation of IVS.
    """
    ring, pair = _find(invocation, key_id, invocation.regions(region))
    facts = _facts(ring, pair)
    if as_json:
        print_json(facts)
        return
    history = facts.pop("history")
    public_key = facts.pop("public_key")
    print_table(
        ("", ""), [(name, "-" if value is None else str(value)) for name, value in facts.items()]
    )
    click.echo(f"\n{public_key or ''}")
    print_table(
        ("AT", "FROM", "TO", "BY", "WHY"),
        [
            (line["at"], line["from_state"] or "-", line["to_state"], line["by"], line["why"])
            for line in history
        ],
    )


def _held(invocation: Invocation, region: Region) -> Sequence[HeldKeyPair] | None:
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
            state=pair.state,
            in_ivs=None if held is None else is_held(pair, held),
            fingerprint=pair.public_key.fingerprint if pair.public_key else None,
            arn=str(pair.arn) if pair.arn else None,
            since=_since(pair),
        )
    for one in held or ():
        owner = owner_of(ring, one)
        if owner is not Owner.OURS:
            yield _Row(
                region=region,
                key_id=None,
                state=owner.value,
                in_ivs=True,
                fingerprint=one.fingerprint,
                arn=str(one.arn),
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
        hint="`tokensvc keys list` shows those that there are.",
    )


def _facts(ring: Ring, pair: KeyPair) -> dict[str, Any]:
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
