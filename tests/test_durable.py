from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tokensvc import durable


def test_a_new_file_is_readable_by_its_owner_only_from_the_first_byte(tmp_path: Path) -> None:
    """The draft already has mode 0600; the name appears when the block has ended."""
    path = tmp_path / "file"
    with durable.new_file(path) as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        assert not path.exists()
        draft.write_bytes(b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    """The second writer gets an error."""
    path = tmp_path / "file"
    second = durable.new_file(path)
    second.__enter__().write_bytes(b"second")
    path.write_bytes(b"first")
    with pytest.raises(FileExistsError):
        second.__exit__(None, None, None)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_no_file(tmp_path: Path) -> None:
    """After an error, neither the file nor the draft exists."""

    def fail(draft: Path) -> None:
        draft.write_bytes(b"incomplete")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), durable.new_file(tmp_path / "file") as draft:
        fail(draft)
    assert list(tmp_path.iterdir()) == []


def test_only_the_drafts_of_that_file_are_discarded(tmp_path: Path) -> None:
    """Drafts of other files, and files with similar names, are not removed."""
    for name in (".a.0123.draft", ".ab.0123.draft", "a.0123.draft", ".a.0123", "a"):
        (tmp_path / name).touch()
    durable.discard_drafts(tmp_path / "a")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        ".a.0123",
        ".ab.0123.draft",
        "a",
        "a.0123.draft",
    ]


def test_removing_a_missing_file_is_allowed_but_a_missing_folder_is_an_error(
    tmp_path: Path,
) -> None:
    """A folder that is missing may still exist elsewhere, with the file in it."""
    path = tmp_path / "file"
    path.touch()
    durable.remove(path)
    durable.remove(path)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        durable.remove(tmp_path / "absent" / "file")


def test_the_name_of_a_new_folder_is_synced_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the names of new parent folders: a file is lost with any of them."""
    synced: list[Path] = []
    fsync = os.fsync

    def recording_fsync(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", recording_fsync)
    durable.make_private_folder(tmp_path / "a" / "b")
    assert set(synced) == {tmp_path, tmp_path / "a"}
    synced.clear()
    durable.make_private_folder(tmp_path / "a" / "b")
    assert synced == []


def test_no_umask_opens_a_new_folder_to_other_users(tmp_path: Path) -> None:
    """Nor the parent folders that are created with it."""
    before = os.umask(0)
    try:
        durable.make_private_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
