"""`tokensvc keys show`."""

from __future__ import annotations

from typing import Any

import click

from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.keys.history import to_state
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.cli.params import EVERY_REGION, region_option
from tokensvc.clock import rfc3339
from tokensvc.keyring.lookup import find_pair
from tokensvc.keyring.model import KeyPair, Ring

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


@click.command(name="show")
@click.argument("key_id")
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def command(invocation: Invocation, key_id: str, region: str | None, *, as_json: bool) -> None:
    """Show everything that is recorded about KEY_ID, including its public key and history.

    Calls no operation of IVS.
    """
    members = _members(*find_pair(invocation.regions(region), invocation.ring, key_id))
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
        "custody_handle": pair.custody_handle,
        **{name: _time(getattr(pair, name)) for name in _TIMES},
        "public_key": public_key and public_key.pem,
        "history": [
            {
                "at": rfc3339(line.at),
                "by": line.by,
                "from_state": line.from_state and line.from_state.value,
                "to_state": to_state(line),
                "why": line.why,
            }
            for line in ring.history
            if line.key_id == pair.key_id
        ],
    }


def _time(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else rfc3339(unix_seconds)
