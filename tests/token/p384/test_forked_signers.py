"""Two signatures with the same r give the private key away, so no two processes may share one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROJECT = Path(__file__).parents[3]


def test_two_forked_workers_never_repeat_an_r(tmp_path: Path) -> None:
    """1,000 signatures of one message by each of two processes, with each of two libraries."""
    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(pem)
    subprocess.run(
        [sys.executable, "-m", "tests.token.p384.forked_signers", str(tmp_path / "key.pem")],
        cwd=PROJECT,
        check=True,
        timeout=60,
    )
    rs = [r for number in (0, 1) for r in (tmp_path / f"key.{number}").read_text().split()]
    assert len(rs) == 4_000
    assert {len(r) for r in rs} == {96}
    assert len(set(rs)) == 4_000
