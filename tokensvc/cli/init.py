"""`tokensvc init`: write a settings file that explains every setting."""

from __future__ import annotations

import os

import click

from tokensvc.arns import Region
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.params import ACCOUNT_ID, REGION
from tokensvc.errors import SettingsInvalid
from tokensvc.settings.loading import DEFAULT_FILE
from tokensvc.settings.reference import KEY_ENCRYPTION_FILE, settings_file


@click.command()
@click.option("--account-id", required=True, type=ACCOUNT_ID, help="AWS account ID.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    required=True,
    type=REGION,
    help="AWS region of the private channels. Repeat for several.",
)
@pass_invocation
def init(invocation: Invocation, account_id: str, regions: tuple[Region, ...]) -> None:
    """Write a commented tokensvc.toml, or the file that --config names.

    An existing file is never overwritten.
    """
    path = invocation.config or DEFAULT_FILE
    try:
        path = path.absolute()
        with open(path, "x", encoding="utf-8", opener=_open_for_owner) as file:
            file.write(settings_file(account_id=account_id, regions=regions))
    except FileExistsError as exc:
        raise SettingsInvalid(
            f"{path} already exists. It was not changed.",
            hint="Choose another file with --config.",
        ) from exc
    except OSError as exc:
        raise SettingsInvalid(
            f"{path} can't be written ({exc.strerror}).", hint="Choose another file with --config."
        ) from exc
    secret = path.with_name(KEY_ENCRYPTION_FILE)
    say(f"Wrote {path}. Next:")
    say(f"  (umask 077; openssl rand -base64 32 > {secret})   # and store a copy elsewhere")
    say("  tokensvc keys reconcile                           # creates the first key pair")


def _open_for_owner(path: str, flags: int) -> int:
    """Others may read the file, which holds no secret. Under no umask may they change it."""
    return os.open(path, flags, 0o644)
