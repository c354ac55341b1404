"""The documents in the table: read by their heads, and saved so that one writer wins.

A save writes the body first, under a key of its own, and then the head that names it, on the
condition that the head is still the one that it replaces. So a crash between the two loses nothing,
and leaves a body that a later save deletes.

DynamoDB may carry out a write whose answer is lost, and boto3 may send a write twice. The head
keeps the nonces of the last saves, so that a save is recognized among them, also when another save
has replaced it meanwhile (rule 7).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from tokensvc.errors import StateConflict, StateDamaged, StateUnavailable
from tokensvc.state.base import NEW, Document, Version
from tokensvc.state.dynamodb_calls import ABSENT, Calls, Condition
from tokensvc.state.dynamodb_items import (
    HEADS,
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
    version_of,
)

MAX_READ_ATTEMPTS: Final = 5
"""How often a document is read whose body was replaced between the reads of head and body."""

_logger = logging.getLogger(__name__)


def versions_in(calls: Calls) -> Mapping[str, Version]:
    """The version of each document, by name, sorted."""
    return {name_of(item): head_of(item).version for item in calls.items(HEADS)}


def version_in(calls: Calls, name: str) -> Version:
    """The version of the document, `NEW` when it was never saved."""
    return version_of(_head(calls, name))


def load_document(calls: Calls, name: str) -> Document | None:
    """The document, or None when it was never saved.

    Raises:
        StateDamaged: when it is damaged.
        StateUnavailable: when the table can't be read now.
    """
    head = _head(calls, name)
    for _ in range(MAX_READ_ATTEMPTS):
        if head is None:
            return None
        parts = list(calls.items(body_partition(name), prefix=body_prefix(head.version)))
        if len(parts) == head.parts:
            return Document(body_of(parts), head.version)
        # A save that replaced this version has deleted its body, unless it is damaged.
        latest = _head(calls, name)
        if latest == head:
            raise StateDamaged(
                f"The body of the document {name!r} is missing in the {calls.address}.",
                hint=RESTORE_HINT,
            )
        head = latest
    raise StateUnavailable(
        f"The document {name!r} was replaced during every attempt to read it.",
        hint="Try again.",
    )


def save_document(calls: Calls, name: str, body: str, replacing: Version) -> Version:
    """Replace version `replacing` of the document, and return the new version.

    Raises:
        StateConflict: when the stored version is another; nothing was written.
        StateDamaged: when the head is damaged.
        StateUnavailable: when the table can't be written now, or did not answer.
    """
    replaced = _head(calls, name)
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
        _require_win(calls, name, saved, replacing, lost_answer)
    _delete(calls, calls.keys_before(body_partition(name), first_of_number(saved.number)))
    return saved


def _head(calls: Calls, name: str) -> Head | None:
    item = calls.get(key(HEADS, name))
    return None if item is None else head_of(item)


def _require_win(
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
        stored = _head(calls, name)
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
        return ABSENT
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
