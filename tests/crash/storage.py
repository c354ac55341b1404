"""Where a deployment whose commands are killed keeps its state and its private keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.crash.commands import Urls, files_in
from tests.support.clock import ManualClock
from tests.support.settings import SECRET
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.file import FileCustody
from tokensvc.state.base import State
from tokensvc.state.sqlite import SqliteState


class Storage(Protocol):
    """The state and the custody of a deployment, and what else a crash may leave in them."""

    @property
    def urls(self) -> Urls:
        """Where they are, as the settings have it."""
        ...

    def open_state(self) -> State:
        """The state, as a new process opens it."""
        ...

    def open_custody(self, *, previous_secret: bytes | None = None) -> Custody:
        """The custody, as a new process opens it, with an earlier key-encryption secret too."""
        ...

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is stored now, so that it can be copied until the block ends."""
        ...

    def copy(self, folder: Path) -> Storage:
        """A copy of what was kept, in that folder if it has files. It may replace the last one."""
        ...

    def draft_key_ids(self) -> set[str]:
        """The IDs of the private keys of which a killed process has left a draft."""
        ...

    def remains(self) -> int:
        """How much a killed process has left that only `keys doctor` reports."""
        ...

    def check(self, key_ids: set[str], *, is_adopting: bool) -> None:
        """Check that nothing but these private keys is stored, and nothing of them is lost.

        Args:
            key_ids: the IDs of the private keys that must be stored.
            is_adopting: whether another one may be stored, too.
        """
        ...


@dataclass(frozen=True)
class LocalStorage:
    """SQLite, and files, in a folder."""

    folder: Path
    clock: ManualClock

    @property
    def urls(self) -> Urls:
        """The files in the folder."""
        return files_in(self.folder)

    def open_state(self) -> State:
        """The state in the folder."""
        return SqliteState(self.folder / "state.sqlite3", self.clock)

    def open_custody(self, *, previous_secret: bytes | None = None) -> Custody:
        """The private key files."""
        return FileCustody(
            self.folder / "keys", SECRET, self.clock, previous_secret=previous_secret
        )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The folder stays as it is."""
        yield

    def copy(self, folder: Path) -> LocalStorage:
        """A copy of the folder."""
        shutil.copytree(self.folder, folder)
        return LocalStorage(folder, self.clock)

    def draft_key_ids(self) -> set[str]:
        """Those of the private key files that were not given their name yet."""
        return {path.name.split(".")[1] for path in self.folder.glob("keys/.*.draft")}

    def remains(self) -> int:
        """Drafts: they are destroyed with the private key."""
        return len(self.draft_key_ids())

    def check(self, key_ids: set[str], *, is_adopting: bool) -> None:
        """Each one has its file and no mark that it was destroyed; there are no other files."""
        names = {path.name for path in (self.folder / "keys").iterdir()}
        assert not names & {f"{key_id}.destroyed" for key_id in key_ids}
        files = {name for name in names if ".destroyed" not in name and ".draft" not in name}
        assert is_adopting or files == {f"{key_id}.pem" for key_id in key_ids}
        assert is_adopting or self.draft_key_ids() <= key_ids
