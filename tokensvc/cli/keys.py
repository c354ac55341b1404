"""`tokensvc keys`: the playback key pairs of each region and their rotation."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

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
from tokensvc.token.p384 import load_private_key


@click.group()
def keys() -> None:
    """Create, import, rotate and revoke the playback key pairs."""


for _command in (list_keys, show, rotate, reconcile, revoke, rewrap, history, doctor):
    keys.add_command(_command)


@keys.command()
@region_option(ONE_REGION)
@reason_option
@pass_invocation
def generate(invocation: Invocation, region: str | None, reason: str) -> None:
    """Create a key pair, its private key in custody. It is not imported into IVS yet.

    This command is for working step by step: `tokensvc keys reconcile` creates, imports and
    switches by itself. Calls no operation of IVS.
    """
    where = invocation.region(region)
    pair = invocation.rotator(where).generate(reason)
    click.echo(pair.key_id)
    say(f"Created. Next, import it: tokensvc keys import {pair.key_id} --region {where}")


@keys.command(name="import")
@click.argument("key_id", required=False)
@region_option(ONE_REGION)
@reason_option
@pass_invocation
def import_key(invocation: Invocation, key_id: str | None, region: str | None, reason: str) -> None:
    """Import the public key of KEY_ID, or of the only pending key pair, into IVS.

    Calls ImportPlaybackKeyPair.
    """
    where = invocation.region(region)
    rotator = invocation.rotator(where)
    pair = rotator.import_pair(key_id or _only_pending(rotator, where), reason)
    click.echo(pair.arn)
    say(
        f"{pair.key_id} is published. `tokensvc keys reconcile` makes it active if no key pair is"
        " active yet."
    )


@keys.command()
@click.option(
    "--private-key",
    "private_key_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the private key: unencrypted PEM (SEC1 or PKCS#8).",
)
@click.option("--arn", required=True, help="ARN of the key pair in IVS. Its region is used.")
@click.option(
    "--longest-ttl-seconds",
    type=click.IntRange(min=0),
    default=0,
    help="Longest lifetime of tokens that were signed with it elsewhere. Default: 0.",
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
    """Adopt a key pair that was created elsewhere and is already in IVS.

    The file is read and not changed. Tokens that were signed elsewhere stay valid during a rotation
    for --longest-ttl-seconds. Calls GetPlaybackKeyPair.
    """
    try:
        key_arn = PlaybackKeyArn.parse(arn)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc), param_hint="--arn") from exc
    private_key = _read_private_key(private_key_file)
    (where,) = invocation.regions(key_arn.region, option="--arn")
    pair = invocation.rotator(where).adopt(
        private_key, key_arn, reason, longest_ttl_seconds=longest_ttl_seconds
    )
    click.echo(pair.key_id)
    say("Adopted. If no key pair is active yet, `tokensvc keys reconcile` makes it active;")
    say("otherwise `tokensvc keys rotate` does. Delete the file once playback works.")


def _read_private_key(file: Path) -> EllipticCurvePrivateKey:
    try:
        return load_private_key(file.read_bytes())
    except OSError as exc:
        raise InvalidKeyMaterial(
            f"The file {file} can't be read ({exc.strerror}).",
            hint="Name a PEM file of the private key that this user can read.",
        ) from exc
    except InvalidKeyMaterial as exc:
        raise InvalidKeyMaterial(f"{file}: {exc.detail}", hint=exc.hint) from exc


def _only_pending(rotator: Rotator, region: Region) -> str:
    pending = rotator.ring().in_state(KeyState.PENDING)
    if not pending:
        raise KeyNotFound(
            f"No key pair of {region} is pending.",
            hint=f"Create one with `tokensvc keys generate --region {region}`.",
        )
    if len(pending) > 1:
        names = ", ".join(pair.key_id for pair in pending)
        raise KeyNotFound(
            f"Several key pairs of {region} are pending: {names}.",
            hint="Name one of them: `tokensvc keys import KEY_ID`.",
        )
    return pending[0].key_id
