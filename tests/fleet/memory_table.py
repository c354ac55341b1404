"""A table of DynamoDB in memory: the real code reads and saves documents in it, call by call.

So an actor can be parked, killed or cut off between the body and the head of a save, and between
the head and the body of a read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from tests.fleet.links import Link
from tests.fleet.memory_state import MemoryState, MemoryStore
from tests.keyring.rings import REGION
from tokensvc.errors import StateUnavailable
from tokensvc.state import schema
from tokensvc.state.base import NEW, Document, Version
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_calls import ABSENT, Calls, Condition
from tokensvc.state.dynamodb_documents import (
    load_document,
    save_document,
    version_in,
    versions_in,
)
from tokensvc.state.dynamodb_items import PARTITION_KEY, SORT_KEY, Item

T = TypeVar("T")
_ADDRESS: Final = TableAddress(REGION, "state")


@dataclass(slots=True)
class MemoryTable(MemoryStore):
    """The items of the documents, by partition key and sort key, and the records."""

    items: dict[tuple[str, str], Item] = field(default_factory=dict)

    def __post_init__(self) -> None:
        body = schema.schema_document(schema.CURRENT)
        save_document(self.calls(Link()), schema.DOCUMENT_NAME, body, NEW)

    def open(self, link: Link | None = None) -> TableState:
        """The state as a process with that link reaches it."""
        return TableState(self, link or Link())

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved."""
        return version_in(self.calls(Link()), name)

    def calls(self, link: Link) -> Calls:
        """The calls of one operation over that link."""
        return cast("Calls", _MemoryCalls(self, link))


class TableState(MemoryState):
    """Implements `State` for one process, with its documents in a table."""

    def __init__(self, table: MemoryTable, link: Link) -> None:
        super().__init__(table, link)
        self._table = table

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name, in one call."""
        return versions_in(self._calls())

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved, in one call."""
        return version_in(self._calls(), name)

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved."""
        return load_document(self._calls(), name)

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """The new version. A save whose answer is lost is recognized by its nonce (rule 7)."""
        return save_document(self._calls(), name, body, replacing)

    def _calls(self) -> Calls:
        self._require_open()
        return self._table.calls(self._link)


@dataclass(frozen=True, slots=True)
class _MemoryCalls:
    """The methods of `Calls` that documents need. Each request is sent twice if need be."""

    table: MemoryTable
    link: Link
    address: TableAddress = _ADDRESS

    def get(self, key: Item) -> Item | None:
        return self._sent(lambda: self.table.items.get(_name(key)))

    def put(self, item: Item, condition: Condition | None = None) -> bool:
        def put() -> bool:
            holds = condition is None or _holds(condition, self.table.items.get(_name(item)))
            if holds:
                self.table.items[_name(item)] = item
            return holds

        return self._sent(put)

    def items(self, partition: str, *, prefix: str = "") -> Iterator[Item]:
        yield from self._query(partition, lambda sort: sort.startswith(prefix))

    def keys_before(self, partition: str, sort_key: str) -> Iterator[Item]:
        yield from self._query(partition, lambda sort: sort < sort_key)

    def write(self, requests: Sequence[Mapping[str, Any]]) -> None:
        def delete() -> None:
            for request in requests:
                self.table.items.pop(_name(request["DeleteRequest"]["Key"]), None)

        if requests:
            self._sent(delete)

    def _query(self, partition: str, matches: Callable[[str], bool]) -> Sequence[Item]:
        def query() -> Sequence[Item]:
            items = self.table.items
            return [
                items[name] for name in sorted(items) if name[0] == partition and matches(name[1])
            ]

        return self._sent(query)

    def _sent(self, effect: Callable[[], T]) -> T:
        """What the effect returns. Like boto3, it sends a request again whose answer is lost."""
        try:
            return self._sent_once(effect)
        except StateUnavailable:
            return self._sent_once(effect)

    def _sent_once(self, effect: Callable[[], T]) -> T:
        with self.link.call(StateUnavailable), self.table.lock:
            return effect()


def _name(item: Item) -> tuple[str, str]:
    return item[PARTITION_KEY]["S"], item[SORT_KEY]["S"]


def _holds(condition: Condition, stored: Item | None) -> bool:
    if condition == ABSENT:
        return stored is None
    expected = {name.removeprefix(":"): value for name, value in condition.values.items()}
    return stored is not None and all(stored[name] == expected[name] for name in expected)
