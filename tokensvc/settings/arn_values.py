"""The values of settings that are ARNs or regions."""

from __future__ import annotations

from typing import Any

from tokensvc.arns import ChannelArn, ChannelPattern, Region, parse_region
from tokensvc.errors import InvalidArn


def parse_channel_arn(value: Any) -> ChannelArn:
    """The ARN of a channel. Raises ValueError, with a message for the operator."""
    try:
        return value if isinstance(value, ChannelArn) else ChannelArn.parse(str(value))
    except InvalidArn as exc:
        raise ValueError(str(exc)) from exc


def pattern_or_name(value: str) -> ChannelPattern | str:
    """The ARN or pattern of channels; a text that is neither may be the name of a channel."""
    try:
        return ChannelPattern.parse(value)
    except InvalidArn:
        return value


def checked_region(value: Any) -> Region:
    """The region. Raises ValueError, with a message for the operator."""
    try:
        return parse_region(str(value))
    except InvalidArn as exc:
        raise ValueError(str(exc)) from exc
