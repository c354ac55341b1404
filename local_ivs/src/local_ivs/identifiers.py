"""Generates identifiers and secrets in AWS's formats."""

from __future__ import annotations

import secrets
import string

_ALPHANUMERIC = string.ascii_letters + string.digits


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def resource_id() -> str:
    """The last part of a new ARN: twelve letters and digits."""
    return _random(12)


def stream_id() -> str:
    """A new stream's ID: `st-` and 23 letters and digits (botocore model: `StreamId`)."""
    return f"st-{_random(23)}"


def stream_key_value(region: str) -> str:
    """A new stream key's secret value."""
    return f"sk_{region}_{_random(12)}_{_random(30)}"


def srt_passphrase() -> str:
    """A new SRT passphrase: a secret, 60 letters and digits."""
    return _random(60)
