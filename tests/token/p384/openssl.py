"""Keys created with the openssl command, as operators create them."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(*arguments: str) -> bytes:
    """The output of the command."""
    return subprocess.run(
        ["openssl", *arguments],  # noqa: S607 -- the openssl of the machine, wherever it is
        capture_output=True,
        check=True,
    ).stdout


def private_key_pem(folder: Path, curve: str, *options: str) -> Path:
    """A new file from `openssl ecparam -name CURVE -genkey`: parameters, then SEC1."""
    path = folder / f"{curve}.pem"
    path.write_bytes(openssl("ecparam", "-name", curve, "-genkey", *options))
    return path


def public_key_pem(private: Path, *options: str) -> str:
    """The public key, as `openssl ec -pubout` writes it."""
    return openssl("ec", "-in", str(private), "-pubout", *options).decode()
