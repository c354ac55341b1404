"""`tokensvc keys adopt`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from tokensvc.arns import PlaybackKeyArn
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.params import PLAYBACK_KEY_ARN, reason_option
from tokensvc.errors import InvalidKeyMaterial
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.terms import MAX_TERM_SECONDS
from tokensvc.protected_files import MAX_BYTES, FileRefused, examine_file, read_regular
from tokensvc.token.private_keys import load_private_key

_STANDARD_INPUT = Path("-")


@click.command(name="adopt")
@click.option(
    "--private-key",
    "private_key_file",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="File of the unencrypted private key: PEM, DER or JWK. - reads standard input.",
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

    The file is read and not changed. Adopting again changes nothing. The drain of this key pair
    allows for tokens that were signed elsewhere, with --longest-ttl-seconds. Calls
    GetPlaybackKeyPair.
    """
    private_key = _read_private_key(private_key_file)
    (where,) = invocation.regions(arn.region, option="--arn")
    invocation.state.create()
    pair = invocation.rotator(where).adopt(
        private_key, arn, reason, longest_ttl_seconds=longest_ttl_seconds
    )
    click.echo(pair.key_id)
    if pair.state is not KeyState.PUBLISHED:
        say(f"It was adopted before, and is {pair.state} now.")
        return
    say("Adopted. If no key pair is active yet, `tokensvc keys reconcile` makes it active;")
    say("otherwise `tokensvc keys rotate` does. Delete the file once playback works.")


def _read_private_key(file: Path) -> EllipticCurvePrivateKey:
    if file == _STANDARD_INPUT:
        return load_private_key(sys.stdin.buffer.read(MAX_BYTES))
    try:
        private_key = load_private_key(read_regular(file))
        faults = examine_file(file, follow_links=True)
    except FileRefused as exc:
        raise InvalidKeyMaterial(
            exc.fault.detail, hint="Name a file, or send its content to `--private-key -`."
        ) from exc
    except OSError as exc:
        raise InvalidKeyMaterial(
            f"The file {file} can't be read ({os.strerror(exc.errno or 0)}).",
            hint="Name a file of the private key that this user can read.",
        ) from exc
    except InvalidKeyMaterial as exc:
        raise InvalidKeyMaterial(f"{file}: {exc.detail}", hint=exc.hint) from exc
    for fault in faults:
        if fault.is_refused:
            say(
                f"{fault.detail} It is not encrypted. If another user may have read it, run"
                " `tokensvc keys rotate` soon."
            )
    return private_key
