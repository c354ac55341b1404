"""`tokensvc init`: write a settings file that explains every setting, and make what is in AWS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tokensvc.arns import Region
from tokensvc.aws_setup import make_state
from tokensvc.cli.context import Invocation, pass_invocation
from tokensvc.cli.output import say
from tokensvc.cli.params import ACCOUNT_ID, REGION
from tokensvc.errors import SettingsInvalid
from tokensvc.settings import config_file
from tokensvc.settings.loading import DEFAULT_FILE
from tokensvc.settings.reference import KEY_ENCRYPTION_FILE, settings_file


@click.command(short_help="Write a commented settings file, tokensvc.toml.")
@click.option("--account-id", type=ACCOUNT_ID, help="AWS account ID; required for a new file.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    type=REGION,
    help="AWS region of the private channels; required for a new file. Repeat for several.",
)
@click.option(
    "--aws",
    "in_aws",
    is_flag=True,
    help="Keep the state in DynamoDB and the keys in Secrets Manager, and make the table.",
)
@click.option(
    "--table",
    default="tokensvc",
    show_default=True,
    help="DynamoDB table in a new file, in the first region. Secrets begin with the same name.",
)
@pass_invocation
def init(
    invocation: Invocation,
    account_id: str | None,
    regions: tuple[Region, ...],
    table: str,
    *,
    in_aws: bool,
) -> None:
    """Write a commented tokensvc.toml, or the file that --config or TOKENSVC_CONFIG names.

    An existing file is never overwritten. With --aws, its settings or those of the environment are
    used, and the table that they name is made if it is missing. The command can be run again.

    Calls of DynamoDB with --aws: DescribeTable, CreateTable, TagResource, DescribeTimeToLive,
    UpdateTimeToLive, UpdateContinuousBackups, and those of a state. Calls no operation of IVS.
    """
    path = (config_file(invocation.config, invocation.environment) or DEFAULT_FILE).absolute()
    has_settings = path.exists() or not (account_id or regions)  # In the environment, otherwise.
    if not (in_aws and has_settings):
        if account_id is None or not regions:
            raise click.UsageError("--account-id and --region are required for a new file.")
        values: dict[str, Mapping[str, Any]] = {
            "ivs": {"account_id": account_id, "regions": regions},
            "custody": {"key_encryption_secret_file": KEY_ENCRYPTION_FILE},
        }
        if in_aws:
            values["state"] = {"url": f"dynamodb:{regions[0]}/{table}"}
            values["custody"] = {"url": f"secretsmanager:{table}/"}
        _write(path, settings_file(values))
        say(f"Wrote {path}.")
    if in_aws:
        make_state(invocation.settings, invocation.clock, say)
    secret = path.with_name(KEY_ENCRYPTION_FILE)
    say("Next:")
    if not in_aws:
        say(f"  (umask 077; openssl rand -base64 32 > {secret})   # and store a copy elsewhere")
    say("  tokensvc keys reconcile                           # creates the first key pair")


def _write(path: Path, text: str) -> None:
    try:
        with open(path, "x", encoding="utf-8", opener=_open_for_owner) as file:
            file.write(text)
    except FileExistsError as exc:
        raise SettingsInvalid(
            f"{path} already exists. It was not changed.",
            hint="Choose another file with --config.",
        ) from exc
    except OSError as exc:
        raise SettingsInvalid(
            f"{path} can't be written ({exc.strerror}).", hint="Choose another file with --config."
        ) from exc


def _open_for_owner(path: str, flags: int) -> int:
    """Others may read the file, which holds no secret. Under no umask may they change it."""
    return os.open(path, flags, 0o644)
