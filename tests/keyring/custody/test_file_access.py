"""Kinds and modes of private key files: who must not read one, and what is not one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clock import ManualClock
from tests.support.deadline import deadline
from tokensvc.errors import CustodyDenied
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.signers import StoredKey

SECRET = bytes(range(32))
MESSAGE = b"header.payload"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the private key files."""
    return tmp_path / "keys"


@pytest.fixture
def custody(folder: Path) -> FileCustody:
    """A custody in that folder."""
    return FileCustody(folder, SECRET, ManualClock())


@pytest.fixture
def key(custody: FileCustody) -> StoredKey:
    """The private key `k-1`."""
    return custody.create("k-1")


@pytest.mark.parametrize("mode", [0o604, 0o666, 0o777])
def test_a_file_that_everyone_can_access_does_not_sign_until_its_mode_is_fixed(
    custody: FileCustody, folder: Path, key: StoredKey, mode: int
) -> None:
    """It is encrypted, so revoking is advised only if the secret may be known as well."""
    path = folder / "k-1.pem"
    path.chmod(mode)
    command = f"chmod 600 {path}.*key-encryption secret.*keys revoke k-1"
    with pytest.raises(CustodyDenied, match=command) as refusal:
        custody.signer(key)
    assert refusal.value.code == "custody_unavailable"
    path.chmod(0o600)
    assert custody.signer(key).public_key == key.public_key


def test_a_file_of_a_group_of_the_process_signs_and_is_reported_once(
    custody: FileCustody, folder: Path, key: StoredKey, caplog: pytest.LogCaptureFixture
) -> None:
    """Kubernetes' fsGroup makes every file of a volume group-readable on each mount."""
    path = folder / "k-1.pem"
    os.chown(path, -1, os.getegid())
    path.chmod(0o660)
    for _ in range(2):
        signer = custody.signer(key)
        key.public_key.verify(signer.sign(MESSAGE), MESSAGE)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert str(path) in record.getMessage()
    assert "revoke" not in record.getMessage()


def link_to_elsewhere(path: Path) -> None:
    """Move the file away and leave a link."""
    path.rename(path.parent.parent / "elsewhere.pem")
    path.symlink_to(path.parent.parent / "elsewhere.pem")


def named_pipe(path: Path) -> None:
    """A pipe without a writer."""
    path.unlink()
    os.mkfifo(path, 0o600)


def device(path: Path) -> None:
    """A link to a device that never ends."""
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("replace", [link_to_elsewhere, named_pipe, device])
def test_what_is_not_a_file_is_named_by_every_call(
    custody: FileCustody, folder: Path, key: StoredKey, replace: Callable[[Path], None]
) -> None:
    """No call waits for it, and `create` makes no other key pair in its place."""
    path = folder / "k-1.pem"
    replace(path)
    for call in (
        lambda: custody.signer(key),
        lambda: custody.create("k-1"),
        lambda: custody.rewrap("k-1"),
    ):
        with deadline(5), pytest.raises(CustodyDenied, match=re.escape(str(path))):
            call()
    custody.destroy("k-1", compromised=True)
    assert [entry.name for entry in folder.iterdir()] == ["k-1.destroyed"]


def test_a_copy_that_outlives_the_destruction_is_reported(
    custody: FileCustody,
    folder: Path,
    key: StoredKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hard link, as backup programs make; our own drafts are removed and not reported."""
    os.link(folder / "k-1.pem", folder / ".k-1.pem.0123456789abcdef.draft")
    custody.destroy("k-1", compromised=True)
    assert caplog.records == []

    custody.create("k-2")
    os.link(folder / "k-2.pem", folder.parent / "backup.pem")
    custody.destroy("k-2", compromised=True)
    (record,) = caplog.records
    assert str(folder / "k-2.pem") in record.getMessage()
    assert key.public_key.fingerprint not in record.getMessage()
