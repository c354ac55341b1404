"""`tokensvc init`: write a settings file that explains every setting."""

from __future__ import annotations

import re

import click

from tokensvc.arns import parse_region
from tokensvc.cli.invocation import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.errors import InvalidArn, SettingsInvalid
from tokensvc.settings.loading import DEFAULT_FILE
from tokensvc.settings.reference import KEY_ENCRYPTION_FILE, settings_file


def _account_id(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", value, re.ASCII):
        raise click.BadParameter("An AWS account ID has 12 digits.")
    return value


def _regions(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        return tuple(parse_region(value) for value in values)
    except InvalidArn as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command()
@click.option("--account-id", required=True, callback=_account_id, help="AWS account ID.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    required=True,
    callback=_regions,
    help="AWS region of the private channels. Repeat for several.",
)
@pass_invocation
def init(invocation: Invocation, account_id: str, regions: tuple[str, ...]) -> None:
    """Write a commented tokensvc.toml, or the file that --config names.

    An existing file is never overwritten.
    """
    path = (invocation.config or DEFAULT_FILE).absolute()
    try:
        with path.open("x", encoding="utf-8") as file:
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
