"""What any test may ask for: a real browser, quick boto3 clients, hypothesis unhurried."""

from __future__ import annotations

import functools

import botocore.loaders

# AWS's JSON models are read once for a process and not for each client: the tests make thousands.
# The loader has to be replaced before botocore's session takes hold of it.
botocore.loaders.create_loader = functools.lru_cache(botocore.loaders.create_loader)

from hypothesis import settings  # noqa: E402 # After the loader, as all that may import boto3.

from tests.support.browser import browser, page  # noqa: E402

__all__ = ["browser", "page"]  # One browser for a whole process: a second can't be started.

# A busy machine makes an example slow, not wrong.
settings.register_profile("tokensvc", deadline=None)
settings.load_profile("tokensvc")
