"""Types of command-line parameters, and the options that several commands have."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from tokensvc.arns import ChannelArn, PlaybackKeyArn, Region, parse_region
from tokensvc.cli.context import Invocation
from tokensvc.errors import InvalidArn, TokensvcError
from tokensvc.ivs.limits import LONGEST_TAG_KEY, LONGEST_TAG_VALUE
from tokensvc.settings import Settings, load_settings

_Command = TypeVar("_Command", bound=Callable[..., None])
_Parameter = click.Parameter | None
_Context = click.Context | None

ONE_REGION = "Required if several are configured."
EVERY_REGION = "Default: all configured regions."

_RESERVED_PREFIX = "aws:"  # Reserved for AWS (AWS: tag naming limits and requirements).
_LONGEST_DURATION_SECONDS = 3_650 * 86_400
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class _Duration(click.ParamType[int]):
    """A whole number and its unit, such as `30d`, `12h`, `90m` or `600s`, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> int:
        match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value, re.ASCII)
        if match is None:
            self.fail(f"{value!r} is not a duration such as 30d, 12h, 90m or 600s.", param, ctx)
        seconds = int(match[1]) * _SECONDS[match[2]]
        if seconds > _LONGEST_DURATION_SECONDS:
            self.fail(f"{value!r} is more than ten years (3650d).", param, ctx)
        return seconds


class _DurationOrZero(_Duration):
    """The same, or 0."""

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> int:
        return 0 if value == "0" else super().convert(value, param, ctx)


class _Region(click.ParamType[Region]):
    """The name of any AWS region, whether or not the settings have it."""

    name = "region"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> Region:
        try:
            return parse_region(value)
        except InvalidArn as exc:
            self.fail(str(exc), param, ctx)


class _AccountId(click.ParamType[str]):
    """An AWS account ID."""

    name = "account_id"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> str:
        if not re.fullmatch(r"[0-9]{12}", value, re.ASCII):
            self.fail("An AWS account ID has 12 digits.", param, ctx)
        return str(value)


class _ReasonLine(click.ParamType[str]):
    """A text that the history can show on one line."""

    name = "text"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> str:
        if not value.isprintable():
            self.fail("The reason must be one line of printable characters.", param, ctx)
        return str(value)


class _PlaybackKeyArn(click.ParamType[PlaybackKeyArn]):
    """The ARN of a playback key pair in IVS."""

    name = "arn"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> PlaybackKeyArn:
        try:
            return PlaybackKeyArn.parse(value)
        except InvalidArn as exc:
            raise _bad_option(exc, param, ctx) from exc


class _ConfiguredChannel(click.ParamType[ChannelArn]):
    """A channel's ARN, or its name in the section [channels] of the settings."""

    name = "channel"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> ChannelArn:
        invocation = ctx and ctx.find_object(Invocation)
        if invocation and (configured := invocation.settings.channels.get(value)) is not None:
            return configured
        names = ", ".join(invocation.settings.channels) if invocation else ""
        if names and not value.startswith("arn:"):
            message = f"The settings have no channel {value!r}. Use an ARN, or one of: {names}."
            raise click.BadParameter(message, ctx, param, param.opts[0] if param else None)
        try:
            return ChannelArn.parse(value)
        except InvalidArn as exc:
            raise _bad_option(exc, param, ctx) from exc

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,
        incomplete: str,
    ) -> list[CompletionItem]:
        return complete_channel(ctx, param, incomplete)


def complete_channel(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The channels of the settings whose names begin so."""
    return _names(context, incomplete, lambda settings: settings.channels)


def complete_issuer(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The issuers of the settings whose names begin so."""
    return _names(context, incomplete, lambda settings: settings.issuers)


def _complete_region(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return _names(context, incomplete, lambda settings: settings.ivs.regions)


def complete_grant(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The grants of the settings that begin so."""
    return _names(context, incomplete, lambda settings: settings.grants)


def _names(
    context: click.Context, incomplete: str, names_in: Callable[[Settings], Iterable[str]]
) -> list[CompletionItem]:
    """The names in the settings that begin so; none if the settings can't be read."""
    try:
        settings = load_settings(context.find_root().params.get("config"), os.environ)
    except TokensvcError:
        return []
    return [CompletionItem(name) for name in names_in(settings) if name.startswith(incomplete)]


class _Tag(click.ParamType[tuple[str, str]]):
    """A tag of the form `KEY=VALUE`, as its key and value; the first = ends the key."""

    name = "tag"

    def convert(self, value: Any, param: _Parameter, ctx: _Context) -> tuple[str, str]:
        key, equals, text = value.partition("=")
        if not equals or not 1 <= len(key) <= LONGEST_TAG_KEY or len(text) > LONGEST_TAG_VALUE:
            self.fail(
                f"{value!r} is not a valid tag. Use KEY=VALUE, with a key of 1 to"
                f" {LONGEST_TAG_KEY} characters and a value of at most {LONGEST_TAG_VALUE}.",
                param,
                ctx,
            )
        if key.lower().startswith(_RESERVED_PREFIX):
            self.fail(
                f"The key {key!r} is not allowed: AWS reserves the prefix {_RESERVED_PREFIX!r}.",
                param,
                ctx,
            )
        return key, text


def _bad_option(error: InvalidArn, param: _Parameter, ctx: _Context) -> click.BadParameter:
    """The error of an option, which is named as the command's own checks name it: `--arn`."""
    return click.BadParameter(str(error), ctx, param, param.opts[0] if param else None)


DURATION = _Duration()
DURATION_OR_ZERO = _DurationOrZero()
REGION = _Region()
ACCOUNT_ID = _AccountId()
REASON_LINE = _ReasonLine()
PLAYBACK_KEY_ARN = _PlaybackKeyArn()
CONFIGURED_CHANNEL = _ConfiguredChannel()
TAG = _Tag()


def region_option(default: str) -> Callable[[_Command], _Command]:
    """The option --region. `default` is the sentence of its help about leaving it out.

    The value is a name that `Invocation.regions` checks, because a region that was removed from the
    settings may be requested too.
    """
    return click.option(
        "--region",
        metavar="REGION",
        shell_complete=_complete_region,
        help=f"AWS region. {default}",
    )


def tags_by_key(
    _context: click.Context, _parameter: click.Parameter, pairs: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """The value of each key of several tags. Raises click.BadParameter for a repeated key."""
    keys = [key for key, _value in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise click.BadParameter(f"The key {key!r} is repeated. Use each key once.")
    return dict(pairs)


tag_option = click.option(
    "--tag",
    "tags",
    multiple=True,
    type=TAG,
    metavar="KEY=VALUE",
    callback=tags_by_key,
    help="A tag. Repeat the option for several tags.",
)
reason_option = click.option(
    "--reason",
    default="manual",
    show_default=True,
    type=REASON_LINE,
    help="Reason to record in the history.",
)
