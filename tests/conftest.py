"""Setup for all tests: a real browser, fast boto3 clients, hypothesis without deadlines."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import botocore.compat
import botocore.hooks
import botocore.loaders
import pytest

# AWS's JSON models are read once per process instead of once per client, because the tests create
# thousands of clients. The loader must be replaced before botocore's session imports it.
botocore.loaders.create_loader = functools.lru_cache(botocore.loaders.create_loader)

# A handler's signature is inspected once per process instead of once per client.
_accepts_kwargs = functools.lru_cache(1_000)(botocore.compat.accepts_kwargs)
botocore.hooks.accepts_kwargs = lambda func: _accepts_kwargs(getattr(func, "__func__", func))

# The present name of an event is found once per process. Each client forgot it, and went through
# all aliases again for each of its handlers.
_Aliaser: Any = botocore.hooks.EventAliaser
_alias = functools.lru_cache(10_000)(
    _Aliaser(botocore.hooks.HierarchicalEmitter())._alias_event_name
)
_Aliaser._alias_event_name = lambda _self, event_name: _alias(event_name)

from hypothesis import settings  # noqa: E402 # After the loader, because it may import boto3.

from tests.support.browser import browser, page  # noqa: E402
from tests.support.dynalite import dynalite  # noqa: E402
from tests.support.moto import moto, running_moto  # noqa: E402
from tests.support.sizes import sized  # noqa: E402
from tests.support.unmeasured import UNMEASURED, unmeasured  # noqa: E402

__all__ = [
    "browser",  # One browser per process: a second one can't be started.
    "dynalite",
    "moto",
    "page",
    "running_moto",
]

# The thousands of collected tests would be searched for garbage again and again, which would take
# an eighth of the time of all tests.
gc.set_threshold(50_000, 20, 50)

# As the documents say for the files of a deployment: one that everyone can read is refused.
os.umask(0o077)

# On a busy machine an example may be slow, which is not a failure.
settings.register_profile("tokensvc", deadline=None, max_examples=sized(short=100, full=200))
settings.load_profile("tokensvc")


def pytest_collection_finish() -> None:
    """Keep the collected tests out of every later search for garbage."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run each test, with its fixtures; the coverage of some modules is not measured."""
    name = str(item.path.relative_to(Path(__file__).parent))
    with unmeasured() if name in UNMEASURED else nullcontext():
        return (yield)
