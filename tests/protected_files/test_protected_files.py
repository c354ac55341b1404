"""Which files are read, which are refused, and what is reported about them."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.deadline import deadline
from tokensvc.protected_files import (
    MAX_BYTES,
    Fault,
    FileRefused,
    Identity,
    examine_file,
    examine_folder,
    read_protected,
    read_regular,
)

USER, OWN_GROUP, OTHER_GROUP = 1_000, 2_000, 3_000
READER = Identity(USER, frozenset({USER, OWN_GROUP}))
ROOT = Identity(0, frozenset({0}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with mode 0600, of the user who runs the tests."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o600)
    return path


def reader_in(path: Path, *, group: bool) -> Identity:
    """The owner of the file, in its group or not, and never root."""
    status = path.stat()
    return Identity(status.st_uid or USER, frozenset({status.st_gid} if group else ()))


def refused(path: Path, *, follow_links: bool = False) -> Fault:
    """The fault with which the file is refused, as it is reported too."""
    with pytest.raises(FileRefused) as caught:
        read_protected(path, follow_links=follow_links)
    assert str(path) in caught.value.fault.detail
    assert caught.value.fault.hint
    return caught.value.fault.fault


def test_a_file_for_its_owner_alone_is_read_without_a_fault(path: Path) -> None:
    """The usual case."""
    read = read_protected(path, follow_links=False)
    assert (read.content, read.faults) == (b"content", ())


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666, 0o777])
def test_access_by_everyone_is_refused(path: Path, mode: int) -> None:
    """To read or to write; the hint is a command."""
    path.chmod(mode)
    assert refused(path) is Fault.OPEN_TO_ALL
    (fault,) = examine_file(path, follow_links=False)
    assert f"{mode:04o}" in fault.detail
    assert f"chmod 600 {path}" in fault.hint


@pytest.mark.parametrize("mode", [0o640, 0o660, 0o620])
def test_access_by_a_group_of_the_process_is_reported_and_by_another_refused(
    path: Path, mode: int
) -> None:
    """As Kubernetes' fsGroup sets it."""
    path.chmod(mode)
    inside, outside = (reader_in(path, group=True), reader_in(path, group=False))

    read = read_protected(path, follow_links=False, identity=inside)

    assert read.content == b"content"
    assert [fault.fault for fault in read.faults] == [Fault.OPEN_TO_OWN_GROUP]
    with pytest.raises(FileRefused) as caught:
        read_protected(path, follow_links=False, identity=outside)
    assert caught.value.fault.fault is Fault.OPEN_TO_OTHER_GROUP


def test_a_file_of_another_owner_is_reported(path: Path) -> None:
    """Root's files are not, and root may use any file."""
    owner = path.stat().st_uid
    other = Identity(owner + 1, frozenset())
    faults = [fault.fault for fault in examine_file(path, follow_links=False, identity=other)]
    assert faults == ([Fault.OTHER_OWNER] if owner else [])
    assert examine_file(path, follow_links=False, identity=ROOT) == ()


def test_another_owner_is_named_with_the_command(path: Path) -> None:
    """Only root can give a file away."""
    if os.geteuid() == 0:
        os.chown(path, USER + 1, USER + 1)
    reader = Identity(path.stat().st_uid + 7, frozenset())
    (fault,) = examine_file(path, follow_links=False, identity=reader)
    assert fault.fault is Fault.OTHER_OWNER
    assert f"chown {reader.user_id} {path}" in fault.hint
    assert not fault.is_refused


def test_a_second_name_is_reported(path: Path, tmp_path: Path) -> None:
    """The content survives the deletion of one name."""
    os.link(path, tmp_path / "copy")
    read = read_protected(path, follow_links=False)
    assert [fault.fault for fault in read.faults] == [Fault.SECOND_NAME]


def test_the_printed_command_finds_a_second_name_outside_of_the_folder(
    path: Path, tmp_path: Path
) -> None:
    """It searches the whole disk, here of the test's folder."""
    (other := tmp_path / "other").mkdir()
    (folder := tmp_path / "keys").mkdir()
    path = path.rename(folder / "key.pem")
    os.link(path, other / "copy")
    (fault,) = examine_file(path, follow_links=False)
    searched = Path(fault.hint.split("find ")[1].split(" ")[0])
    assert searched.is_mount()
    assert other.is_relative_to(searched)
    assert searched.stat().st_dev == path.stat().st_dev


def test_a_symbolic_link_is_followed_only_where_one_belongs(path: Path, tmp_path: Path) -> None:
    """A Kubernetes volume holds `file -> ..data/file` and `..data -> ..2026_11_26`."""
    path.rename(tmp_path / "..2026_11_26")
    (tmp_path / "..data").symlink_to("..2026_11_26")
    path.symlink_to("..data")
    assert read_protected(path, follow_links=True).content == b"content"
    assert refused(path) is Fault.SYMBOLIC_LINK
    (fault,) = examine_file(path, follow_links=False)
    assert fault.fault is Fault.SYMBOLIC_LINK
    assert "readlink" in fault.hint


def test_a_link_to_a_file_that_is_not_there_is_not_to_be_replaced_by_it(path: Path) -> None:
    """`mv` would fail."""
    path.unlink()
    path.symlink_to("gone")
    (fault,) = examine_file(path, follow_links=False)
    assert fault.fault is Fault.SYMBOLIC_LINK
    assert "readlink" not in fault.hint


def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A named pipe without a writer blocks whoever just opens it."""
    pipe, folder, device = tmp_path / "pipe", tmp_path / "folder", Path("/dev/zero")
    os.mkfifo(pipe, 0o600)
    folder.mkdir()
    bound = tmp_path / "socket"
    with deadline(5), closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(bound))
        for path in (pipe, folder, device, bound):
            assert refused(path, follow_links=True) is Fault.NOT_A_FILE
            with pytest.raises(FileRefused):
                read_regular(path)
            (fault,) = examine_file(path, follow_links=True)
            assert fault.fault is Fault.NOT_A_FILE


def test_a_file_that_is_far_too_large_is_not_read_whole(path: Path) -> None:
    """One byte more than 1 MiB."""
    path.write_bytes(bytes(MAX_BYTES))
    assert len(read_regular(path)) == MAX_BYTES
    path.write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(OSError, match="too large"):
        read_regular(path)


@pytest.mark.parametrize(("mode", "is_open"), [(0o755, False), (0o777, True), (0o770, True)])
def test_a_folder_is_reported_when_others_can_replace_its_files(
    tmp_path: Path, mode: int, *, is_open: bool
) -> None:
    """By everyone, or by a group that the process is not in."""
    folder = tmp_path / "keys"
    folder.mkdir()
    folder.chmod(mode)
    faults = examine_folder(folder, identity=reader_in(folder, group=False))
    assert [fault.fault for fault in faults] == ([Fault.FOLDER_OPEN] if is_open else [])
    if mode == 0o770:
        assert examine_folder(folder, identity=reader_in(folder, group=True)) == ()
