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
from tokensvc.errors import CustodyDamaged, SettingsInvalid
from tokensvc.keyring.custody import file as file_custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.p384 import PublicKey

PROJECT = Path(__file__).parents[3]
MESSAGE = b"header.payload"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the private files."""
    return tmp_path / "keys"


@pytest.fixture
def public_key(folder: Path) -> PublicKey:
    """The public half of the key pair `k-1`, whose private half is under the previous secret."""
    return FileCustody(folder, SECRET, ManualClock()).create("k-1")


def between(folder: Path) -> FileCustody:
    """A custody while the change is under way: it has both secrets."""
    return FileCustody(folder, NEXT_SECRET, ManualClock(), previous_secret=SECRET)


def after(folder: Path) -> FileCustody:
    """A custody when the change is over."""
    return FileCustody(folder, NEXT_SECRET, ManualClock())


def assert_signs(custody: FileCustody, public_key: PublicKey) -> None:
    """The custody signs with that key pair's private half."""
    public_key.verify(custody.signer("k-1", public_key).sign(MESSAGE), MESSAGE)


def test_a_rewrapped_private_half_is_the_same_under_the_next_secret_alone(
    folder: Path, public_key: PublicKey
) -> None:
    """The previous secret no longer opens it; mode 0600, and no draft stays."""
    assert between(folder).rewrap("k-1") is True

    assert_signs(after(folder), public_key)
    with pytest.raises(CustodyDamaged, match="another key-encryption secret"):
        FileCustody(folder, SECRET, ManualClock()).signer("k-1", public_key)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rewrapping_again_changes_nothing(folder: Path, public_key: PublicKey) -> None:
    """A file under the present secret is recognised by its mark and left as it is."""
    between(folder).rewrap("k-1")
    before = (folder / "k-1.pem").read_bytes()

    assert between(folder).rewrap("k-1") is False
    assert (folder / "k-1.pem").read_bytes() == before


def test_both_secrets_serve_while_the_change_is_under_way(
    folder: Path, public_key: PublicKey
) -> None:
    """A process with both signs before and after; what it makes is under the present one."""
    custody = between(folder)
    assert_signs(custody, public_key)
    custody.rewrap("k-1")
    assert_signs(custody, public_key)

    made = custody.create("k-2")
    assert after(folder).signer("k-2", made).public_key == made


def test_a_signer_that_was_loaded_before_signs_on(folder: Path, public_key: PublicKey) -> None:
    """Running workers notice nothing."""
    signer = FileCustody(folder, SECRET, ManualClock()).signer("k-1", public_key)

    between(folder).rewrap("k-1")

    public_key.verify(signer.sign(MESSAGE), MESSAGE)


@pytest.mark.parametrize(
    "program", ["rewrap_and_crash_before_replace", "rewrap_and_crash_after_replace"]
)
def test_a_crash_leaves_the_private_half_under_one_of_the_secrets(
    folder: Path, public_key: PublicKey, program: str
) -> None:
    """Both secrets open it, and running again finishes the change and leaves no draft."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.keyring.custody.file_process", program, str(folder)],
        cwd=PROJECT,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 9
    assert_signs(between(folder), public_key)

    between(folder).rewrap("k-1")

    assert_signs(after(folder), public_key)
    assert [entry.name for entry in folder.iterdir()] == ["k-1.pem"]


def test_a_private_half_that_is_destroyed_meanwhile_does_not_come_back(
    folder: Path, public_key: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stolen key's half is destroyed while it is being rewrapped: it is gone afterwards."""
    wrap = file_custody.wrap
    custody = between(folder)
    thief_hunt = threading.Thread(target=lambda: custody.destroy("k-1", compromised=True))

    def slow_wrap(*arguments: Any) -> bytes:
        thief_hunt.start()
        thief_hunt.join(timeout=0.3)  # s; without a lock it would be over by then.
        return wrap(*arguments)

    monkeypatch.setattr(file_custody, "wrap", slow_wrap)
    custody.rewrap("k-1")
    thief_hunt.join()

    assert list(folder.iterdir()) == []
    assert custody.rewrap("k-1") is False


def test_a_file_under_neither_secret_is_left_as_it_is(folder: Path) -> None:
    """The error names the settings."""
    FileCustody(folder, bytes(32), ManualClock()).create("k-1")
    before = (folder / "k-1.pem").read_bytes()

    with pytest.raises(CustodyDamaged, match="previous_key_encryption_secret_file"):
        between(folder).rewrap("k-1")

    assert (folder / "k-1.pem").read_bytes() == before


@pytest.mark.usefixtures("public_key")
def test_a_damaged_file_that_is_marked_as_done_is_told(folder: Path) -> None:
    """It begins as it should and ends too soon: nobody is to hear that all is well."""
    between(folder).rewrap("k-1")
    path = folder / "k-1.pem"
    cut_short = path.read_bytes()[:100]
    path.write_bytes(cut_short)

    with pytest.raises(CustodyDamaged, match="k-1 is damaged"):
        between(folder).rewrap("k-1")

    assert path.read_bytes() == cut_short


def test_a_previous_secret_of_another_length_is_refused(folder: Path) -> None:
    """As for the present one."""
    with pytest.raises(SettingsInvalid, match="32 bytes"):
        FileCustody(folder, SECRET, ManualClock(), previous_secret=b"short")
