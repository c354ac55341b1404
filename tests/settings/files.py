"""Settings files of the tests."""

from __future__ import annotations

from collections.abc import Callable

from tokensvc.settings import Settings

ARN = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
MINIMAL = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
"""

Load = Callable[..., Settings]
