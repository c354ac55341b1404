"""A change of the key-encryption secret, file by file."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.keyring.custody.file_process import NEXT_SECRET, SECRET
from tests.support.clock import ManualClock
from tokensvc.errors import CustodyDamaged, CustodyDenied, SettingsInvalid
from tokensvc.keyring.custody import file as file_custody
from tokensvc.keyring.custody.encryption import wrap
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.keyring.signers import StoredKey

PROJECT = Path(__file__).parents[3]
MESSAGE = b"header.payload"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the private key files."""
    return tmp_path / "keys"


@pytest.fixture
def key(folder: Path) -> StoredKey:
    """The private key `k-1`, which is encrypted with the previous secret."""
    return FileCustody(folder, SECRET, ManualClock()).create("k-1")


def during(folder: Path) -> FileCustody:
    """A custody during the change of the secret: it has both secrets."""
    return FileCustody(folder, NEXT_SECRET, ManualClock(), previous_secret=SECRET)


def after(folder: Path) -> FileCustody:
    """A custody after the change: it has only the next secret."""
    return FileCustody(folder, NEXT_SECRET, ManualClock())


def assert_signs(custody: FileCustody, key: StoredKey) -> None:
    """Assert that the custody signs with the private key of `k-1`."""
    key.public_key.verify(custody.signer(key).sign(MESSAGE), MESSAGE)


def test_a_rewrapped_private_key_can_only_be_read_with_the_next_secret(
    folder: Path, key: StoredKey
) -> None:
    """It is the same private key. The file has mode 0600, and no draft remains."""
    assert during(folder).rewrap("k-1") is True

    assert_signs(after(folder), key)
    with pytest.raises(CustodyDenied, match=r"custody\.key_encryption_secret_file"):
        FileCustody(folder, SECRET, ManualClock()).signer(key)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rewrapping_again_changes_nothing(folder: Path, key: StoredKey) -> None:
    """A file that is encrypted with the current secret is recognized by its first line."""
    during(folder).rewrap("k-1")
    before = (folder / "k-1.pem").read_bytes()

    assert during(folder).rewrap("k-1") is False
    assert (folder / "k-1.pem").read_bytes() == before


def test_a_process_with_both_secrets_works_during_the_change(folder: Path, key: StoredKey) -> None:
    """It signs before and after the rewrap, and encrypts new keys with the current secret."""
    custody = during(folder)
    assert_signs(custody, key)
    custody.rewrap("k-1")
    assert_signs(custody, key)

    created = custody.create("k-2")
    assert after(folder).signer(created).public_key == created.public_key


def test_a_signer_that_was_loaded_before_the_rewrap_still_signs(
    folder: Path, key: StoredKey
) -> None:
    """Running workers are not affected."""
    signer = FileCustody(folder, SECRET, ManualClock()).signer(key)

    during(folder).rewrap("k-1")

    key.public_key.verify(signer.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize(
    "program", ["rewrap_and_crash_before_replace", "rewrap_and_crash_after_replace"]
)
def test_a_crash_leaves_the_private_key_encrypted_with_one_of_the_secrets(
    folder: Path, key: StoredKey, program: str
) -> None:
    """Both secrets together can read it. Another rewrap completes the change, without drafts."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.keyring.custody.file_process", program, str(folder)],
        cwd=PROJECT,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 9
    assert_signs(during(folder), key)

    during(folder).rewrap("k-1")

    assert_signs(after(folder), key)
    assert [entry.name for entry in folder.iterdir()] == ["k-1.pem"]


def test_a_private_key_that_is_destroyed_during_a_rewrap_does_not_come_back(
    folder: Path, key: StoredKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compromised key is destroyed while it is rewrapped: no file remains."""
    custody = during(folder)
    destruction = threading.Thread(target=lambda: custody.destroy("k-1", compromised=True))

    def slow_wrap(*arguments: Any) -> bytes:
        destruction.start()
        destruction.join(timeout=0.3)  # s; without a lock it would be finished by then.
        return wrap(*arguments)

    monkeypatch.setattr(file_custody, "wrap", slow_wrap)
    custody.rewrap("k-1")
    destruction.join()

    assert [entry.name for entry in folder.iterdir()] == ["k-1.destroyed"]
    assert custody.rewrap("k-1") is False


def test_a_file_that_is_encrypted_with_neither_secret_is_not_changed(folder: Path) -> None:
    """The error names the settings."""
    FileCustody(folder, bytes(32), ManualClock()).create("k-1")
    before = (folder / "k-1.pem").read_bytes()

    with pytest.raises(CustodyDenied, match="previous_key_encryption_secret_file"):
        during(folder).rewrap("k-1")

    assert (folder / "k-1.pem").read_bytes() == before


@pytest.mark.usefixtures("key")
def test_a_damaged_file_that_names_the_current_secret_is_reported(folder: Path) -> None:
    """Its first line is correct, but the file is truncated, so rewrap must not report success."""
    during(folder).rewrap("k-1")
    path = folder / "k-1.pem"
    truncated = path.read_bytes()[:100]
    path.write_bytes(truncated)

    with pytest.raises(CustodyDamaged, match=r"k-1 .*tokensvc keys revoke"):
        during(folder).rewrap("k-1")

    assert path.read_bytes() == truncated


def test_a_previous_secret_of_another_length_is_refused(folder: Path) -> None:
    """As for the current secret."""
    with pytest.raises(SettingsInvalid, match="32 bytes"):
        FileCustody(folder, SECRET, ManualClock(), previous_secret=b"short")
