"""`tokensvc keys`: the key pairs of each region, and their rotation."""

from __future__ import annotations

from pathlib import Path

import click

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.cli.doctor import doctor
from tokensvc.cli.emergency import revoke
from tokensvc.cli.history import history
from tokensvc.cli.invocation import (
    ONE_REGION,
    Invocation,
    pass_invocation,
    reason_option,
    region_option,
)
from tokensvc.cli.key_listing import list_keys, show
from tokensvc.cli.output import say
from tokensvc.cli.rewrapping import rewrap
from tokensvc.cli.rotation import reconcile, rotate
from tokensvc.errors import InvalidArn, InvalidKeyMaterial, KeyNotFound
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.rotator import Rotator
from tokensvc.p384 import load_private_key


@click.group()
def keys() -> None:
    """Key pairs: made, imported into IVS, and rotated without breaking one token."""


for _command in (list_keys, show, rotate, reconcile, revoke, rewrap, history, doctor):
    keys.add_command(_command)


@keys.command()
@region_option(ONE_REGION)
@reason_option
@pass_invocation
def generate(invocation: Invocation, region: str | None, reason: str) -> None:
    """Make a key pair, its private half in custody; IVS does not know it yet.

    Calls no operation of IVS. `tokensvc keys reconcile` makes, imports and switches by itself; this
    is for doing it step by step.
    """
    where = invocation.region(region)
    pair = invocation.rotator(where).generate(reason)
    click.echo(pair.key_id)
    say(f"Made. Import it next: tokensvc keys import {pair.key_id} --region {where}")


@keys.command(name="import")
@click.argument("key_id", required=False)
@region_option(ONE_REGION)
@reason_option
@pass_invocation
def import_key(invocation: Invocation, key_id: str | None, region: str | None, reason: str) -> None:
    """Import the public half of KEY_ID, or of the only pending pair, into IVS.

    Calls ImportPlaybackKeyPair.
    """
    where = invocation.region(region)
    rotator = invocation.rotator(where)
    pair = rotator.import_pair(key_id or _only_pending(rotator, where), reason)
    click.echo(pair.arn)
    say(f"{pair.key_id} is published. `tokensvc keys reconcile` lets it sign if none does yet.")


@keys.command()
@click.option(
    "--private-key",
    "private_key_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Its private half: an unencrypted PEM file (SEC1 or PKCS#8).",
)
@click.option("--arn", required=True, help="Its ARN in IVS; the region is the ARN's.")
@click.option(
    "--longest-ttl-seconds",
    type=click.IntRange(min=0),
    default=0,
    help="The longest life of tokens signed with it elsewhere; they outlive a rotation too.",
)
@reason_option
@pass_invocation
def adopt(
    invocation: Invocation,
    private_key_file: Path,
    arn: str,
    longest_ttl_seconds: int,
    reason: str,
) -> None:
    """Take in a key pair that IVS has already and that was made elsewhere.

    Calls GetPlaybackKeyPair. The file is read and left where it is.
    """
    try:
        key_arn = PlaybackKeyArn.parse(arn)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc), param_hint="--arn") from exc
    try:
        private_key = load_private_key(private_key_file.read_bytes())
    except OSError as exc:
        raise InvalidKeyMaterial(
            f"The file {private_key_file} can't be read ({exc.strerror}).",
            hint="Give the private half's PEM file, readable for this user.",
        ) from exc
    (where,) = invocation.regions(key_arn.region, asked_by="--arn")
    pair = invocation.rotator(where).adopt(
        private_key, key_arn, reason, longest_ttl_seconds=longest_ttl_seconds
    )
    click.echo(pair.key_id)
    say("Adopted. `tokensvc keys reconcile` lets it sign if no key pair does yet; otherwise")
    say("`tokensvc keys rotate` does. Once that is seen to work, delete the file.")


def _only_pending(rotator: Rotator, region: Region) -> str:
    pending = rotator.ring().in_state(KeyState.PENDING)
    if len(pending) != 1:
        names = ", ".join(pair.key_id for pair in pending) or "none"
        raise KeyNotFound(
            f"Not exactly one key pair of {region} is pending: {names}.",
            hint="Name one; `tokensvc keys generate` makes one.",
        )
    return pending[0].key_id
