"""`tokensvc keys adopt`."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tokensvc.arns import PlaybackKeyArn
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.params import PLAYBACK_KEY_ARN, reason_option
from tokensvc.errors import InvalidKeyMaterial
from tokensvc.keyring.terms import MAX_TERM_SECONDS
from tokensvc.token.p384 import load_private_key


@click.command(name="adopt")
@click.option(
    "--private-key",
    "private_key_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the private key: unencrypted PEM (SEC1 or PKCS#8).",
)
@click.option(
    "--arn",
    required=True,
    type=PLAYBACK_KEY_ARN,
    help="ARN of the key pair in IVS. Its region is used.",
)
@click.option(
    "--longest-ttl-seconds",
    type=click.IntRange(0, MAX_TERM_SECONDS),
    default=0,
    help="Longest lifetime of tokens that were signed with it elsewhere. Default: 0.",
)
@reason_option
@pass_invocation
def command(
    invocation: Invocation,
    private_key_file: Path,
    arn: PlaybackKeyArn,
    longest_ttl_seconds: int,
    reason: str,
) -> None:
    """Adopt a key pair that was created elsewhere and is already in IVS.

    The file is read and not changed. The drain of this key pair allows for tokens that were signed
    elsewhere, with --longest-ttl-seconds. Calls GetPlaybackKeyPair.
    """
    private_key = _read_private_key(private_key_file)
    (where,) = invocation.regions(arn.region, option="--arn")
    pair = invocation.rotator(where).adopt(
        private_key, arn, reason, longest_ttl_seconds=longest_ttl_seconds
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
