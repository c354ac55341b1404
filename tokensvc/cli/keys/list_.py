"""`tokensvc keys list`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import click

from tokensvc.arns import Region
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import json_option, print_json, print_table, say, say_error
from tokensvc.cli.params import EVERY_REGION, region_option
from tokensvc.clock import rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.listing import ListedKeyPair, list_key_pairs
from tokensvc.keyring.reporting.record import RecordStore


@click.command(name="list")
@region_option(EVERY_REGION)
@json_option
@pass_invocation
def command(invocation: Invocation, region: str | None, *, as_json: bool) -> None:
    """List the key pairs in the rings and in IVS, including foreign key pairs.

    The last run of `keys reconcile` follows on standard error.

    If IVS can't be called, the recorded key pairs are listed anyway. If a ring can't be read, the
    other regions are listed anyway. The exit status is then 1.

    Calls ListPlaybackKeyPairs and GetPlaybackKeyPair.
    """
    listed: list[ListedKeyPair] = []
    is_complete = True
    for where in invocation.regions(region):
        held = _held_by_ivs(invocation, where)
        is_complete = is_complete and held is not None
        try:
            listed += list_key_pairs(where, invocation.ring(where), held)
        except TokensvcError as exc:
            # Without the ring, the owners of the pairs in IVS are unknown.
            say_error(exc)
            is_complete = False
    if as_json:
        print_json([one.members() for one in listed])
    else:
        _print(listed)
        _say_last_runs(invocation, region)
    if not is_complete:
        raise click.exceptions.Exit(1)


def _held_by_ivs(invocation: Invocation, region: Region) -> Sequence[HeldKeyPair] | None:
    try:
        return invocation.key_pairs_in_ivs(region)
    except TokensvcError as exc:
        say_error(exc)
        return None


def _say_last_runs(invocation: Invocation, requested: str | None) -> None:
    with suppress(TokensvcError):  # `keys doctor` reports a record that can't be read.
        record = RecordStore(invocation.state).load()
        for region in invocation.regions(requested):
            if (run := record.region(region)) is not None:
                succeeded = "never" if run.succeeded_at is None else rfc3339(run.succeeded_at)
                ended = f"ended with {run.code}" if run.code else "succeeded"
                say(
                    f"{region}: the last run of `tokensvc keys reconcile`, by {run.by}, {ended} at"
                    f" {rfc3339(run.attempted_at)}. Last success: {succeeded}."
                )


def _print(listed: Sequence[ListedKeyPair]) -> None:
    print_table(
        ("REGION", "KEY", "STATE", "IN IVS", "SINCE", "FINGERPRINT", "ARN"),
        [
            (
                one.region,
                one.key_id or "-",
                f"{one.state}, compromised" if one.compromised else one.state,
                {True: "yes", False: "no", None: "?"}[one.in_ivs],
                one.since or "-",
                one.fingerprint or "-",
                one.arn or "-",
            )
            for one in listed
        ],
    )
