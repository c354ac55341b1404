"""`import tokensvc`: the library that signs tokens without the service."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import tokensvc

_LINES = (inspect.getdoc(tokensvc) or "").splitlines(keepends=True)
_EXAMPLE = textwrap.dedent("".join(line for line in _LINES if line.startswith("    ")))
"""The code in the docstring of the package."""


def run(program: str, *arguments: str) -> str:
    """What the program prints, run by a new interpreter."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("module", ["tokensvc", "tokensvc.ivs.limits", "tokensvc.ivs.errors"])
def test_the_library_imports_no_framework_and_no_sdk(module: str) -> None:
    """Not even indirectly: a program that only signs does not pay for the service."""
    program = f"import {module}, sys; print(*sys.modules)"
    loaded = set(run(program).split())
    assert module in loaded
    assert loaded.isdisjoint({"flask", "werkzeug", "boto3", "botocore", "pydantic", "gunicorn"})


def test_the_example_in_its_docstring_signs_a_token() -> None:
    """With the PEM file of a private key, as `openssl ecparam` writes it."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    program = "import sys; pem = sys.argv[1].encode()\n" + _EXAMPLE + "\nprint(token)"
    token = run(program, pem).strip()
    public_key = tokensvc.PublicKey.of(private_key.public_key())
    assert tokensvc.verify(token, [public_key]) == public_key


def test_every_name_of_the_library_exists() -> None:
    """`__all__` is what the documentation of the library lists."""
    assert all(hasattr(tokensvc, name) for name in tokensvc.__all__)
