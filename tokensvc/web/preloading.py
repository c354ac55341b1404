"""What gunicorn's master loads before it forks, so that all workers share its memory.

It loads modules and AWS's descriptions of its services, and builds nothing. It does not load
awscrt, which does not support a fork.
"""

from __future__ import annotations

import gc
import importlib
import sys

_AWSCRT = "awscrt"


def import_without_awscrt(*names: str) -> None:
    """Import these modules. botocore loads awscrt if it can: while it imports this, it can't."""
    loaded = sys.modules.get(_AWSCRT)
    sys.modules[_AWSCRT] = None  # type: ignore[assignment] # An import of it now fails.
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        del sys.modules[_AWSCRT]
        if loaded is not None:
            sys.modules[_AWSCRT] = loaded


def give_awscrt_to_botocore() -> None:
    """In a worker: let botocore use awscrt after all, for the credentials of `aws login`."""
    credentials = importlib.import_module("botocore.credentials")
    credentials.EC = importlib.import_module("awscrt.crypto").EC  # type: ignore[attr-defined]


def freeze() -> None:
    """Before a fork: keep the garbage collector of the workers from writing to shared memory."""
    gc.collect()
    gc.freeze()
