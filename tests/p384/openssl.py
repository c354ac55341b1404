"""Keys made by the openssl command, as operators make them."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(*arguments: str) -> bytes:
    """What the command prints."""
    return subprocess.run(
        ["openssl", *arguments],  # noqa: S607 -- the openssl of the machine, wherever it is
        capture_output=True,
        check=True,
    ).stdout


def private_key_pem(folder: Path, curve: str, *options: str) -> Path:
    """A new file with what `openssl ecparam -name CURVE -genkey` writes: parameters, then SEC1."""
    path = folder / f"{curve}.pem"
    path.write_bytes(openssl("ecparam", "-name", curve, "-genkey", *options))
    return path


def public_key_pem(private: Path, *options: str) -> str:
    """The public half, as `openssl ec -pubout` writes it."""
    return openssl("ec", "-in", str(private), "-pubout", *options).decode()
