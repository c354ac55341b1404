"""An operator's request that every process fetches the keys of an issuer now.

It is the document `issuer-refreshes` of the state, which every web worker watches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from pydantic import BaseModel, ConfigDict

from tokensvc.state.base import NEW, Document, State
from tokensvc.state.schema import CURRENT, members_of

DOCUMENT_NAME: Final = "issuer-refreshes"


@dataclass(frozen=True, slots=True)
class IssuerRefreshes:
    """How often a refresh of each issuer was requested so far, by its name in the settings."""

    requested: Mapping[str, int] = field(default_factory=dict)

    def with_request(self, names: Collection[str]) -> Self:
        """These, and one request for each of those issuers."""
        more = {name: self.requested.get(name, 0) + 1 for name in names}
        return type(self)({**self.requested, **more})

    def requested_since(self, earlier: IssuerRefreshes) -> Collection[str]:
        """The issuers that were requested since that reading of the document."""
        return [
            name for name, count in self.requested.items() if count != earlier.requested.get(name)
        ]

    def encode(self) -> str:
        """The body of the document: JSON."""
        stored = _Stored(schema_version=CURRENT, requested=dict(self.requested))
        return stored.model_dump_json()

    @classmethod
    def decode(cls, document: Document | None) -> Self:
        """What that document says; nothing when `document` is None, because it was never saved.

        Raises:
            StateDamaged: when the document is not valid.
            SchemaUnsupported: when a newer release wrote it.
        """
        if document is None:
            return cls()
        return cls(members_of(document, _Stored, name=DOCUMENT_NAME).requested)


def request_refresh(state: State, names: Collection[str]) -> None:
    """Request that every process fetches the keys of those issuers.

    Raises:
        StateConflict: when another process requested one at the same time.
        StateUnavailable: when the state can't be written now.
    """
    document = state.load(DOCUMENT_NAME)
    refreshes = IssuerRefreshes.decode(document).with_request(names)
    replacing = NEW if document is None else document.version
    state.save(DOCUMENT_NAME, refreshes.encode(), replacing=replacing)


class RefreshFollower:
    """Requests a fetch of each keeper for which an operator has requested one.

    Args:
        fetch_soon: requests a fetch, by the name of the issuer.
    """

    def __init__(self, fetch_soon: Mapping[str, Callable[[], None]]) -> None:
        self._fetch_soon = fetch_soon
        self._seen: IssuerRefreshes | None = None

    def note(self, refreshes: IssuerRefreshes) -> None:
        """The document was read. Called with every new value, in one thread.

        The first one requests nothing: keepers fetch when they start.
        """
        seen, self._seen = self._seen, refreshes
        for name in () if seen is None else refreshes.requested_since(seen):
            if name in self._fetch_soon:
                self._fetch_soon[name]()


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True)  # A newer release may add members.

    schema_version: int
    requested: dict[str, int]
