"""The error of the launcher."""

from __future__ import annotations

from tokensvc.errors import TokensvcError


class DemoFailed(TokensvcError):
    """The demo can't start or continue."""

    code = "demo_failed"
    title = "The demo failed"
