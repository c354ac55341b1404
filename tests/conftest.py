"""What any test may ask for: a real browser, and hypothesis without a stopwatch."""

from __future__ import annotations

from hypothesis import settings

from tests.support.browser import browser, page

__all__ = ["browser", "page"]  # One browser for a whole process: a second can't be started.

# A busy machine makes an example slow, not wrong.
settings.register_profile("tokensvc", deadline=None)
settings.load_profile("tokensvc")
