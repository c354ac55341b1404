"""State: what all processes share, as a contract.

Every state passes `tests/contract/state_contract.py`. Two kinds of thing live here. A *document*
has a name and a version and is replaced as a whole by compare-and-set: a ring, the API keys. A
*record* has a kind and an ID and expires: a ban, a channel's last answer. Bodies are JSON text
whose meaning is the business of the room that owns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NEW = 0
"""The version that a document has before its first save."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read: its body and the version that a replacing save must name."""

    body: str
    version: int


@dataclass(frozen=True, slots=True)
class Record:
    """A record of some kind. `expires_at` is Unix seconds; readers judge expiry themselves."""

    record_id: str
    body: str
    expires_at: float


class State(Protocol):
    """What every process reads and writes; a read sees every write acknowledged before it."""

    def version(self, name: str) -> int:
        """The document's version, `NEW` when it was never saved; cheap enough to ask often.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        ...

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the state can't be read now.
            StateDamaged: when what is stored can't be what was saved.
        """
        ...

    def save(self, name: str, body: str, *, replacing: int) -> int:
        """The new version, after `body` has durably taken the place of version `replacing`.

        A save that is tried again after a lost acknowledgement is recognised by its writer's nonce
        and succeeds once (rule 7).

        Raises:
            StateConflict: when the stored version is another; nothing was written.
            StateUnavailable: when the state can't be written now.
        """
        ...

    def put(self, kind: str, record: Record) -> None:
        """Store the record durably, in the place of one with the same kind and ID."""
        ...

    def remove(self, kind: str, record_id: str) -> None:
        """Remove the record; nothing happens when there is none."""
        ...

    def record(self, kind: str, record_id: str) -> Record | None:
        """That record, possibly expired, or None when there is none."""
        ...

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID, expired ones possibly among them."""
        ...

    def records_version(self, kind: str) -> int:
        """A number that grows with each put and remove of that kind: what a watcher compares."""
        ...

    def close(self) -> None:
        """Let go of what the state holds open; it can't be used afterwards."""
        ...
