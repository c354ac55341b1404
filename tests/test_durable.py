from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tokensvc import durable


def test_a_new_file_is_its_owners_alone_before_it_holds_a_byte(tmp_path: Path) -> None:
    """0600 already as a draft; the name appears when the block has ended."""
    path = tmp_path / "file"
    with durable.new_file(path) as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        assert not path.exists()
        draft.write_bytes(b"content")
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_taken_name_stays_whose_it_is(tmp_path: Path) -> None:
    """Whoever comes second is told, and overwrites nothing."""
    path = tmp_path / "file"
    making = durable.new_file(path)
    making.__enter__().write_bytes(b"second")
    path.write_bytes(b"first")
    with pytest.raises(FileExistsError):
        making.__exit__(None, None, None)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither the name nor the draft is there after an error."""

    def fail(draft: Path) -> None:
        draft.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), durable.new_file(tmp_path / "file") as draft:
        fail(draft)
    assert list(tmp_path.iterdir()) == []


def test_only_the_drafts_of_that_file_are_discarded(tmp_path: Path) -> None:
    """Another file's drafts, and files that only look alike, stay."""
    for name in (".a.0123.draft", ".ab.0123.draft", "a.0123.draft", ".a.0123", "a"):
        (tmp_path / name).touch()
    durable.discard_drafts(tmp_path / "a")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        ".a.0123",
        ".ab.0123.draft",
        "a",
        "a.0123.draft",
    ]


def test_removing_again_is_nothing_more_but_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Gone is gone; a folder that is not there may hold the file still, elsewhere."""
    path = tmp_path / "file"
    path.touch()
    durable.remove(path)
    durable.remove(path)
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        durable.remove(tmp_path / "absent" / "file")


def test_a_new_folders_name_is_on_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those of the folders on the way: a file is lost with any of them."""
    synced: list[Path] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", noted)
    durable.make_private_folder(tmp_path / "a" / "b")
    assert set(synced) == {tmp_path, tmp_path / "a"}
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    synced.clear()
    durable.make_private_folder(tmp_path / "a" / "b")
    assert synced == []
