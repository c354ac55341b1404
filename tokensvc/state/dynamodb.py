"""The state in one DynamoDB table, shared by all processes of a fleet.

`dynamodb_items` has the keys of the items. A save writes the body first, under a key of its own,
and then the head that names it, on the condition that the head is still the one that it replaces.
So a crash between the two loses nothing, and leaves a body that a later save deletes.

DynamoDB may carry out a write whose answer is lost, and boto3 may send a write twice. The head
keeps the nonces of the last saves, so that a save is recognized among them, also when another save
has replaced it meanwhile (rule 7).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Final

from tokensvc.aws import AwsClients, AwsTerms, endpoint_of
from tokensvc.clock import Clock
from tokensvc.errors import StateConflict, StateDamaged, StateUnavailable
from tokensvc.net import is_loopback_url
from tokensvc.state import schema
from tokensvc.state.base import NEW, Document, Record, Version
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_calls import OPERATION_SECONDS, Calls, Condition
from tokensvc.state.dynamodb_errors import table_empty, translated
from tokensvc.state.dynamodb_items import (
    HEADS,
    PARTITION_KEY,
    RESTORE_HINT,
    Head,
    Item,
    Outcome,
    body_items,
    body_of,
    body_partition,
    body_prefix,
    first_of_number,
    head_after,
    head_item,
    head_of,
    key,
    key_of,
    name_of,
    outcome_of,
    record_item,
    record_of,
    record_partition,
    version_of,
)
from tokensvc.state.dynamodb_table import require_usable

STATE_TERMS = AwsTerms(connect_timeout_seconds=1.0, read_timeout_seconds=2.0, max_attempts=3)
"""A call ends within 12 s."""

RECORD_TERMS = AwsTerms(connect_timeout_seconds=0.3, read_timeout_seconds=0.7, max_attempts=1)
"""A call ends within 1 s: a request may wait for it."""

MAX_READ_ATTEMPTS = 5
"""How often a document is read whose body was replaced between the reads of head and body."""

_ABSENT: Final = Condition("attribute_not_exists(#key)", {"#key": PARTITION_KEY}, {})
"""The condition that there is no item with that key."""

_logger = logging.getLogger(__name__)


class DynamoDbState:
    """Implements `State` in one table, which `create_table` or the template has made.

    Everything but `create` raises StateMissing where the table has no state: an empty state would
    hide that the data is lost.

    Args:
        address: the table.
        clients: clients for documents and writes; `close` closes them.
        hasty_clients: clients that give up within about a second, for records that a request
            waits for; `close` closes them.
        clock: measures the total time of an operation, and sleeps between two attempts.
        account_id: the account that the table must be in. It is not checked at a loopback
            endpoint, whose tables are in no account.
        random: spreads the pauses between two attempts.
    """

    def __init__(
        self,
        address: TableAddress,
        clients: AwsClients,
        hasty_clients: AwsClients,
        clock: Clock,
        account_id: str,
        random: Random,
    ) -> None:
        self._address = address
        self._clients = clients
        self._hasty_clients = hasty_clients
        self._clock = clock
        self._account_id = account_id
        self._random = random
        self._inspected = False
        self._closed = False

    def create(self) -> None:
        """Begin a state in the table, unless it has one.

        Raises:
            StateMissing: when there is no such table: only `tokensvc init --aws` makes one.
            StateRefused: when the table must not be used.
            StateUnavailable: when it can't be written now.
        """
        calls = self._calls_of(self._clients)
        self._require_usable_table(calls)
        if self._head(calls, schema.DOCUMENT_NAME) is None:
            with suppress(StateConflict):  # Another process began it.
                self._save(calls, schema.DOCUMENT_NAME, schema.schema_document(schema.CURRENT), NEW)

    def versions(self) -> Mapping[str, Version]:
        """The version of each document, by name, sorted: one Query reads all heads.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when a head is damaged.
        """
        return {
            name_of(item): head_of(item).version for item in self._inspected_calls().items(HEADS)
        }

    def version(self, name: str) -> Version:
        """The document's version, `NEW` when it was never saved.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when its head is damaged.
        """
        return version_of(self._head(self._inspected_calls(), name))

    def load(self, name: str) -> Document | None:
        """The document, or None when it was never saved.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when the document is damaged.
        """
        calls = self._inspected_calls()
        head = self._head(calls, name)
        for _ in range(MAX_READ_ATTEMPTS):
            if head is None:
                return None
            parts = list(calls.items(body_partition(name), prefix=body_prefix(head.version)))
            if len(parts) == head.parts:
                return Document(body_of(parts), head.version)
            # A save that replaced this version has deleted its body, unless it is damaged.
            latest = self._head(calls, name)
            if latest == head:
                raise StateDamaged(
                    f"The body of the document {name!r} is missing in the {self._address}.",
                    hint=RESTORE_HINT,
                )
            head = latest
        raise StateUnavailable(
            f"The document {name!r} was replaced during every attempt to read it.",
            hint="Try again.",
        )

    def save(self, name: str, body: str, *, replacing: Version) -> Version:
        """Durably replace version `replacing` with `body`, and return the new version.

        Raises:
            StateConflict: when the stored version is another; nothing was written.
            StateUnavailable: when the table can't be written now, or did not answer. Then it may
                have been written all the same.
            StateDamaged: when the document's head is damaged.
        """
        return self._save(self._inspected_calls(), name, body, replacing)

    def put_many(self, kind: str, records: Sequence[Record]) -> None:
        """Store the records durably, each by itself. Each replaces the one with its ID.

        Raises:
            StateUnavailable: when the table can't be written now. Some may be stored.
        """
        if not records:
            return
        # One request can't have two changes of the same item.
        by_id = {record.record_id: record for record in records}
        self._inspected_calls().write(
            [{"PutRequest": {"Item": record_item(kind, record)}} for record in by_id.values()]
        )

    def remove_many(self, kind: str, record_ids: Sequence[str]) -> None:
        """Remove the records, each by itself. An ID without a record is not an error.

        Raises:
            StateUnavailable: when the table can't be written now. Some may be removed.
        """
        if not record_ids:
            return
        partition = record_partition(kind)
        self._inspected_calls().write(
            [
                {"DeleteRequest": {"Key": key(partition, record_id)}}
                for record_id in dict.fromkeys(record_ids)
            ]
        )

    def record(self, kind: str, record_id: str) -> Record | None:
        """The record, or None when there is none. It may have expired.

        A request may wait for this read, for about a second at most.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when the record is damaged.
        """
        item = self._inspected_calls(self._hasty_clients).get(
            key(record_partition(kind), record_id)
        )
        return None if item is None else record_of(item)

    def read_many(self, kind: str, record_ids: Collection[str]) -> Sequence[Record]:
        """Those of the records that there are. Some may have expired.

        A request may wait for this read, for about a second at most.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when a record is damaged.
        """
        keys = [key(record_partition(kind), record_id) for record_id in dict.fromkeys(record_ids)]
        return [
            record_of(item) for item in self._inspected_calls(self._hasty_clients).get_many(keys)
        ]

    def put_if(self, kind: str, record: Record, *, replacing: Record | None) -> bool:
        """Store the record if the one with its ID is `replacing`, by its body.

        A request may wait for this write, for about a second at most. It is sent once, so a lost
        answer is never taken for that of another one.

        Raises:
            StateUnavailable: when the table can't be written now. It may have been written.
        """
        condition = (
            _ABSENT
            if replacing is None
            else Condition("#body = :body", {"#body": "body"}, {":body": {"S": replacing.body}})
        )
        calls = self._inspected_calls(self._hasty_clients)
        return calls.put(record_item(kind, record), condition)

    def records(self, kind: str) -> Sequence[Record]:
        """Every record of that kind, by ID. Some may have expired.

        Raises:
            StateUnavailable: when the table can't be read now.
            StateDamaged: when a record is damaged.
        """
        return [record_of(item) for item in self._inspected_calls().items(record_partition(kind))]

    def close(self) -> None:
        """Close the connections, and refuse every later operation."""
        self._closed = True
        self._clients.close()
        self._hasty_clients.close()

    def _calls_of(self, clients: AwsClients) -> Calls:
        if self._closed:
            raise StateUnavailable("The state was closed by this process.")
        give_up_at = self._clock.monotonic() + OPERATION_SECONDS
        return Calls(clients, self._address, self._clock, self._random, give_up_at)

    def _inspected_calls(self, clients: AwsClients | None = None) -> Calls:
        """Calls to the table, once it was found to be a usable table with a state."""
        calls = self._calls_of(clients or self._clients)
        if not self._inspected:
            self._require_usable_table(calls)
            if self._head(calls, schema.DOCUMENT_NAME) is None:
                raise table_empty(self._address)
            self._inspected = True
        return calls

    def _require_usable_table(self, calls: Calls) -> None:
        with translated("client setup", self._address):
            endpoint = endpoint_of(calls.clients.dynamodb(self._address.region))
        account_id = None if is_loopback_url(endpoint) else self._account_id
        require_usable(calls.describe(), self._address, account_id)

    def _head(self, calls: Calls, name: str) -> Head | None:
        item = calls.get(key(HEADS, name))
        return None if item is None else head_of(item)

    def _save(self, calls: Calls, name: str, body: str, replacing: Version) -> Version:
        replaced = self._head(calls, name)
        if version_of(replaced) != replacing:
            raise _conflict(name, replaced, replacing)
        saved = replacing.next()
        parts = body_items(name, saved, body)
        for part in parts:
            calls.put(part)
        head = head_after(replaced, saved, len(parts))
        lost_answer: StateUnavailable | None = None
        try:
            is_stored = calls.put(head_item(name, head), _condition(replacing))
        except StateUnavailable as exc:
            lost_answer, is_stored = exc, False
        if not is_stored:
            self._require_win(calls, name, saved, replacing, lost_answer)
        _delete(calls, calls.keys_before(body_partition(name), first_of_number(saved.number)))
        return saved

    def _require_win(
        self,
        calls: Calls,
        name: str,
        saved: Version,
        replacing: Version,
        lost_answer: StateUnavailable | None,
    ) -> None:
        """Return if the save was carried out, although DynamoDB did not say so.

        Args:
            calls: the calls of the save.
            name: the document.
            saved: the version that the save gives.
            replacing: the version that it replaces.
            lost_answer: why the answer was lost; None if it was that the condition does not hold.
                It does not hold either when boto3 has sent the same save before.
        """
        try:
            stored = self._head(calls, name)
        except StateUnavailable as exc:
            raise lost_answer or exc from exc
        match outcome_of(saved, stored):
            case Outcome.WON:
                return
            case Outcome.UNKNOWN:
                raise StateUnavailable(
                    f"Whether version {saved.number} of the document {name!r} was saved is not"
                    " known: the answer came late, and others have saved it too often since.",
                    hint="Run the command again. It will use the stored version.",
                ) from lost_answer
            case Outcome.NOT_STORED if lost_answer is not None:
                # It may still be stored later, so its body stays.
                raise lost_answer
            case _:
                own = calls.items(body_partition(name), prefix=body_prefix(saved))
                _delete(calls, own)
                raise _conflict(name, stored, replacing) from lost_answer


def _delete(calls: Calls, unused: Iterator[Item]) -> None:
    """Delete these bodies if that is possible now: a later save deletes what stays.

    No head can name one of them any more: a head with its number, or a later one, is stored.
    """
    try:
        calls.write([{"DeleteRequest": {"Key": key_of(item)}} for item in unused])
    except StateUnavailable as exc:
        _logger.info("A body that is no longer used stays until a later save: %s", exc)


def _condition(replacing: Version) -> Condition:
    """The condition that the head of version `replacing` is stored."""
    if replacing == NEW:
        return _ABSENT
    return Condition(
        "#number = :number AND #nonce = :nonce",
        {"#number": "number", "#nonce": "nonce"},
        {":number": {"N": str(replacing.number)}, ":nonce": {"S": replacing.nonce}},
    )


def _conflict(name: str, stored: Head | None, replacing: Version) -> StateConflict:
    version = version_of(stored)
    return StateConflict(
        f"Another process saved the document {name!r} first: the stored version is"
        f" {version.number} ({version.nonce}), but this save replaces version {replacing.number}"
        f" ({replacing.nonce}). Nothing was written.",
        hint="Run the command again. It will use the stored version.",
    )
