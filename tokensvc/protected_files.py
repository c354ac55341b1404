"""Judge a file's kind, owner and mode, and only then read it.

For files that hold secrets or that others must not replace: private keys, the key-encryption
secret, the state. A file is opened without waiting, since a named pipe would block, and is judged
by its descriptor, so that it can't be exchanged in between.

What is refused: what is not a regular file, a symbolic link where none belongs, and access by
everyone or by a group that this process is not in. What is only reported: access by a group of this
process, which Kubernetes' `fsGroup` gives on each mount, another owner, and a second name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

MAX_BYTES = 1_048_576
"""No file that this program reads whole is larger."""

_ROOT = 0


class Fault(StrEnum):
    """What can be wrong with a file; the values are identifiers."""

    SYMBOLIC_LINK = "symbolic_link"
    NOT_A_FILE = "not_a_file"
    OPEN_TO_ALL = "open_to_all"
    OPEN_TO_OTHER_GROUP = "open_to_other_group"
    OPEN_TO_OWN_GROUP = "open_to_own_group"
    OTHER_OWNER = "other_owner"
    SECOND_NAME = "second_name"
    FOLDER_OPEN = "folder_open"


_REFUSED = frozenset(
    {Fault.SYMBOLIC_LINK, Fault.NOT_A_FILE, Fault.OPEN_TO_ALL, Fault.OPEN_TO_OTHER_GROUP}
)


@dataclass(frozen=True, slots=True)
class FileFault:
    """One fault of one file or folder.

    Attributes:
        path: the file or folder.
        fault: what is wrong.
        detail: what is wrong, as a sentence that names the path.
        hint: what to run.
    """

    path: Path
    fault: Fault
    detail: str
    hint: str

    @property
    def is_refused(self) -> bool:
        """Whether the content of such a file is not used."""
        return self.fault in _REFUSED


class FileRefused(Exception):
    """Raised instead of reading a file that has a fault of the kind that is refused."""

    def __init__(self, fault: FileFault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is to the operating system."""

    user_id: int
    group_ids: frozenset[int]

    @classmethod
    def of_process(cls) -> Self:
        """The effective user and all groups of this process."""
        return cls(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))

    def is_in(self, group_id: int) -> bool:
        """Whether the group's access is this process's own. Root needs no group."""
        return self.user_id == _ROOT or group_id in self.group_ids


@dataclass(frozen=True, slots=True)
class ProtectedFile:
    """The content of a file, and the faults that are only reported."""

    content: bytes
    faults: tuple[FileFault, ...]


def read_regular(path: Path) -> bytes:
    """The content of a regular file, whose owner and mode don't matter. Links are followed.

    Raises:
        FileRefused: when it is something else, such as a named pipe.
        OSError: when the file can't be read, or is larger than `MAX_BYTES`.
    """
    with _opened(path, follow_links=True) as (descriptor, _):
        return _content(descriptor)


def require_regular(path: Path) -> None:
    """Check the kind of a file that another library opens, which may wait for a named pipe.

    Raises:
        FileRefused: when it is something else. Links are followed.
        OSError: when there is no such file, or when its folder can't be entered.
    """
    if (fault := _fault_of_kind(path, path.stat().st_mode)) is not None:
        raise FileRefused(fault)


def read_protected(
    path: Path, *, follow_links: bool, identity: Identity | None = None
) -> ProtectedFile:
    """The content of a file whose owner and mode are good enough, and what is to be reported.

    Args:
        path: the file.
        follow_links: whether `path` may be a symbolic link, as in a Kubernetes volume.
        identity: who reads; None for this process.

    Raises:
        FileRefused: when the file has a fault that is refused.
        OSError: when the file can't be read, or is larger than `MAX_BYTES`.
    """
    with _opened(path, follow_links=follow_links) as (descriptor, status):
        faults = tuple(_faults_of_file(path, status, identity or Identity.of_process()))
        for fault in faults:
            if fault.is_refused:
                raise FileRefused(fault)
        return ProtectedFile(_content(descriptor), faults)


def examine_file(
    path: Path, *, follow_links: bool, identity: Identity | None = None
) -> Sequence[FileFault]:
    """Every fault of the file, which is not opened.

    Raises:
        OSError: when there is no such file, or when its folder can't be entered.
    """
    status = path.stat(follow_symlinks=follow_links)
    if (fault := _fault_of_kind(path, status.st_mode)) is not None:
        return (fault,)
    return tuple(_faults_of_file(path, status, identity or Identity.of_process()))


def examine_folder(path: Path, *, identity: Identity | None = None) -> Sequence[FileFault]:
    """The fault of a folder in which others may replace files, if it is one.

    Raises:
        OSError: when there is nothing of that name.
    """
    status, reader = path.stat(), identity or Identity.of_process()
    by_group = status.st_mode & stat.S_IWGRP and not reader.is_in(status.st_gid)
    is_open = by_group or status.st_mode & stat.S_IWOTH
    if not is_open or not stat.S_ISDIR(status.st_mode):
        return ()
    return (
        FileFault(
            path,
            Fault.FOLDER_OPEN,
            f"Other users can delete and replace the files in the folder {path}"
            f" (mode {_shown(status.st_mode)}).",
            f"Run `chmod go-w {path}`.",
        ),
    )


@contextmanager
def _opened(path: Path, *, follow_links: bool) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor of a regular file and its status."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as exc:
        # Without following, a link is ELOOP. A socket is ENXIO.
        kinds = {errno.ENXIO: stat.S_IFSOCK} | ({} if follow_links else {errno.ELOOP: stat.S_IFLNK})
        if (kind := kinds.get(exc.errno or 0)) and (fault := _fault_of_kind(path, kind)):
            raise FileRefused(fault) from exc
        raise
    try:
        status = os.fstat(descriptor)
        if (fault := _fault_of_kind(path, status.st_mode)) is not None:
            raise FileRefused(fault)
        yield descriptor, status
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _fault_of_kind(path: Path, mode: int) -> FileFault | None:
    """The fault of what is not a regular file."""
    match stat.S_IFMT(mode):
        case stat.S_IFREG:
            return None
        case stat.S_IFLNK:
            return _fault_of_link(path)
        case stat.S_IFDIR:
            kind = "a folder"
        case stat.S_IFIFO:
            kind = "a named pipe"
        case stat.S_IFSOCK:
            kind = "a socket"
        case _:
            kind = "a device"
    return FileFault(
        path,
        Fault.NOT_A_FILE,
        f"{path} is {kind}, not a file.",
        f"Look at it with `ls -l {path}`, and put a regular file in its place.",
    )


def _fault_of_link(path: Path) -> FileFault:
    detail = f"{path} is a symbolic link, which tokensvc does not make here"
    if path.exists():
        hint = f'Put the file that it names in its place: `mv "$(readlink -f {path})" {path}`.'
        return FileFault(path, Fault.SYMBOLIC_LINK, f"{detail}.", hint)
    return FileFault(
        path,
        Fault.SYMBOLIC_LINK,
        f"{detail}, to a file that is not there.",
        f"Mount the disk of that file, or restore it from a backup, to {path}.",
    )


def _faults_of_file(path: Path, status: os.stat_result, reader: Identity) -> Iterator[FileFault]:
    """The faults of a regular file, the ones that are refused first."""
    mode, shown = status.st_mode, _shown(status.st_mode)
    chmod = f"Run `chmod 600 {path}`."
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield FileFault(
            path, Fault.OPEN_TO_ALL, f"Every user can access {path} (mode {shown}).", chmod
        )
    elif mode & (stat.S_IRGRP | stat.S_IWGRP):
        is_own = reader.is_in(status.st_gid)
        yield FileFault(
            path,
            Fault.OPEN_TO_OWN_GROUP if is_own else Fault.OPEN_TO_OTHER_GROUP,
            f"The group {status.st_gid} can access {path} (mode {shown})."
            f"{'' if is_own else ' This process is not in that group.'}",
            f"{chmod} With fsGroup, Kubernetes sets this mode again: then only this service may"
            " run with that group."
            if is_own
            else chmod,
        )
    if status.st_uid not in {reader.user_id, _ROOT} and reader.user_id != _ROOT:
        yield FileFault(
            path,
            Fault.OTHER_OWNER,
            f"{path} belongs to the user {status.st_uid}, and this process runs as"
            f" {reader.user_id}.",
            f"Run `chown {reader.user_id} {path}` as root.",
        )
    if status.st_nlink > 1:
        yield FileFault(
            path,
            Fault.SECOND_NAME,
            f"{path} has {status.st_nlink} names (hard links): when it is deleted, its content"
            " remains under the others.",
            f"Find them with `find {_disk_of(path)} -xdev -samefile {path}`, and delete those that"
            " nothing needs.",
        )


def _disk_of(path: Path) -> Path:
    """The folder at which the disk of the file is mounted, where its other names can be."""
    return next(folder for folder in path.absolute().parents if folder.is_mount())


def _shown(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"
