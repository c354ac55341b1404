"""The reserve beside the state file: there when the disk is full, and used only then."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.support.full_disk import small_disk
from tokensvc.state.reserve import RESERVE_BYTES, Reserve


def test_the_reserve_takes_its_space_at_once_and_once(tmp_path: Path) -> None:
    """Only its owner can read it, and a second call changes nothing."""
    reserve = Reserve(tmp_path / "state.sqlite3")

    reserve.make()
    made = reserve.path.stat()
    reserve.make()

    assert reserve.path.name == "state.sqlite3-reserve"
    assert made.st_blocks * 512 >= RESERVE_BYTES == 524_288
    assert stat.S_IMODE(made.st_mode) == 0o600
    assert reserve.path.stat() == made
    assert [path.name for path in tmp_path.iterdir()] == [reserve.path.name]


def test_the_reserve_is_kept_while_the_disk_has_room(tmp_path: Path) -> None:
    """It is not used up by an emergency that does not need it."""
    reserve = Reserve(tmp_path / "state.sqlite3")
    reserve.make()

    assert not reserve.make_room()

    assert reserve.path.exists()


def test_the_reserve_is_freed_on_a_full_disk_and_made_again_when_there_is_room(
    tmp_path: Path,
) -> None:
    """It is never made out of the last free space."""
    with small_disk(tmp_path / "disk") as disk:
        reserve = Reserve(disk.folder / "state.sqlite3")
        reserve.make()
        disk.fill()

        assert reserve.make_room()

        (disk.folder / "written").write_bytes(bytes(RESERVE_BYTES - 65_536))
        assert not reserve.make_room()
        reserve.make()
        assert not reserve.path.exists()
        disk.free()
        reserve.make()
        assert reserve.path.exists()


def test_a_folder_that_does_not_exist_gets_no_reserve(tmp_path: Path) -> None:
    """The state decides whether its folder is created."""
    reserve = Reserve(tmp_path / "absent" / "state.sqlite3")

    reserve.make()

    assert not reserve.make_room()
    assert list(tmp_path.iterdir()) == []
