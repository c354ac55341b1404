"""The items of the state in DynamoDB, as pure functions: keys, heads, bodies and records.

    partition key     sort key             item
    heads             NAME                 the head of document NAME: version, last nonces, parts
    body/NAME         NUMBER/NONCE/PART    one part of the body of that save of document NAME
    record/KIND       ID                   a record

A head is small, so one strongly consistent Query on `heads` reads the versions of all documents,
and a poll never pays for a body. A body is written under a key of its own before its head names
it, and is never changed. The partition key begins with what the item is, so that a policy with the
condition `dynamodb:LeadingKeys` can keep a role from heads and bodies, and allow it the records
that it writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tokensvc.errors import StateDamaged
from tokensvc.state.base import (
    EXPIRED_RECORD_RETENTION_SECONDS,
    NEW,
    Record,
    Version,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

T = TypeVar("T")
Item = Mapping[str, Any]
"""An item or a key as boto3 has it: each attribute with its type, such as `{"pk": {"S": "heads"}}`.
"""

PARTITION_KEY: Final = "pk"
SORT_KEY: Final = "sk"
DELETE_AT: Final = "delete_at"
"""The attribute of the table's time to live: the Unix second from which DynamoDB may delete it."""

RESTORE_HINT: Final = (
    "Restore the table to a point in time before the damage, as docs/state-dynamodb.md describes."
)
HEADS: Final = "heads"
MAX_NONCES: Final = 8
"""How many nonces a head keeps. A save whose answer was lost is recognized among them."""

MAX_PART_CHARACTERS: Final = 90_000
"""The longest part of a body. In UTF-8 it has at most 360,000 of the 409,600 bytes of an item."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a document.

    Attributes:
        version: the version of the document.
        nonces: the nonces of the last saves, the newest first; its first one is the version's.
        parts: how many parts the body has.
    """

    version: Version
    nonces: tuple[str, ...]
    parts: int

    def nonce_of(self, number: int) -> str | None:
        """The nonce of the save with that number; None if it is too old, or was not made yet."""
        index = self.version.number - number
        return self.nonces[index] if 0 <= index < len(self.nonces) else None


class Outcome(Enum):
    """What became of a save, by the head that is stored now."""

    WON = auto()
    LOST = auto()  # Another save has its number.
    NOT_STORED = auto()  # No save has its number.
    UNKNOWN = auto()  # Its number is older than the nonces that the head keeps.


def outcome_of(saved: Version, stored: Head | None) -> Outcome:
    """What became of the save of version `saved`, now that `stored` is the head."""
    if stored is None or stored.version.number < saved.number:
        return Outcome.NOT_STORED
    match stored.nonce_of(saved.number):
        case None:
            return Outcome.UNKNOWN
        case saved.nonce:
            return Outcome.WON
        case _:
            return Outcome.LOST


def head_after(replaced: Head | None, saved: Version, parts: int) -> Head:
    """The head of version `saved`, which replaces that head."""
    earlier = () if replaced is None else replaced.nonces
    return Head(saved, (saved.nonce, *earlier)[:MAX_NONCES], parts)


def version_of(head: Head | None) -> Version:
    """The version of the document with that head, `NEW` without one."""
    return NEW if head is None else head.version


def key(partition: str, sort: str) -> dict[str, AttributeValueTypeDef]:
    """The key of an item."""
    return {PARTITION_KEY: {"S": partition}, SORT_KEY: {"S": sort}}


def key_of(item: Item) -> dict[str, AttributeValueTypeDef]:
    """The key of that item."""
    return {PARTITION_KEY: item[PARTITION_KEY], SORT_KEY: item[SORT_KEY]}


def head_item(name: str, head: Head) -> dict[str, AttributeValueTypeDef]:
    """The item of the head of document `name`."""
    return {
        **key(HEADS, name),
        "number": {"N": str(head.version.number)},
        "nonces": {"L": [{"S": nonce} for nonce in head.nonces]},
        "nonce": {"S": head.version.nonce},
        "parts": {"N": str(head.parts)},
    }


def head_of(item: Item) -> Head:
    """The head in that item.

    Raises:
        StateDamaged: when it is not one that this program writes.
    """

    def read() -> Head:
        nonces = tuple(str(nonce["S"]) for nonce in item["nonces"]["L"])
        version = Version(int(item["number"]["N"]), str(item["nonce"]["S"]))
        if nonces[0] != version.nonce:
            raise ValueError("The first nonce is another one.")
        return Head(version, nonces, int(item["parts"]["N"]))

    return _decoded(read, item)


def name_of(head: Item) -> str:
    """The name of the document with that head.

    Raises:
        StateDamaged: when it is not one that this program writes.
    """
    return _decoded(lambda: str(head[SORT_KEY]["S"]), head)


def body_partition(name: str) -> str:
    """The partition of the bodies of document `name`."""
    return f"body/{name}"


def body_prefix(version: Version) -> str:
    """How the sort keys of the parts of that version's body begin."""
    return f"{first_of_number(version.number)}{version.nonce}/"


def first_of_number(number: int) -> str:
    """The sort key before which all bodies of earlier versions are: a number has one width."""
    return f"{number:012}/"


def body_items(
    name: str, version: Version, body: str
) -> Sequence[dict[str, AttributeValueTypeDef]]:
    """The parts of the body of that version, in order. An empty body has one, too."""
    starts = range(0, max(len(body), 1), MAX_PART_CHARACTERS)
    return [
        {
            **key(body_partition(name), f"{body_prefix(version)}{part:04}"),
            "body": {"S": body[start : start + MAX_PART_CHARACTERS]},
        }
        for part, start in enumerate(starts)
    ]


def body_of(items: Iterable[Item]) -> str:
    """The body with those parts.

    Raises:
        StateDamaged: when one of them is not one that this program writes.
    """
    return "".join(_part_of(item) for item in items)


def _part_of(item: Item) -> str:
    return _decoded(lambda: str(item["body"]["S"]), item)


def record_partition(kind: str) -> str:
    """The partition of the records of that kind."""
    return f"record/{kind}"


def record_item(kind: str, record: Record) -> dict[str, AttributeValueTypeDef]:
    """The item of that record. DynamoDB may delete it some time after it has expired."""
    delete_at = math.ceil(record.expires_at) + EXPIRED_RECORD_RETENTION_SECONDS
    return {
        **key(record_partition(kind), record.record_id),
        "body": {"S": record.body},
        # `repr` is exact: DynamoDB stores 38 digits.
        "expires_at": {"N": repr(record.expires_at)},
        DELETE_AT: {"N": str(delete_at)},
    }


def record_of(item: Item) -> Record:
    """The record in that item.

    Raises:
        StateDamaged: when it is not one that this program writes.
    """

    def read() -> Record:
        expires_at = float(item["expires_at"]["N"])
        return Record(str(item[SORT_KEY]["S"]), str(item["body"]["S"]), expires_at)

    return _decoded(read, item)


def _decoded(read: Callable[[], T], item: Item) -> T:
    try:
        return read()
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        names = [item.get(name, {}).get("S", "") for name in (PARTITION_KEY, SORT_KEY)]
        raise StateDamaged(
            f"The item {'/'.join(map(str, names))!r} of the table is damaged, or no tokensvc item.",
            hint=RESTORE_HINT,
        ) from exc
