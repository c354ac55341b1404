"""How bans are stored: each event is a record, and the document `bans` counts them.

An event is the whole ban as it is after a change. Its record ID is a sequence number, so that a
reader which knows all events up to a number reads only those after it. A later event of the same
ban replaces the earlier one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.access.bans.model import Ban
from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidArn, SchemaUnsupported, StateDamaged
from tokensvc.state.base import Document, Record
from tokensvc.state.schema import CURRENT, RESTORE_HINT, members_of

KIND: Final = "ban"
DOCUMENT_NAME: Final = "bans"


@dataclass(frozen=True, slots=True)
class Event:
    """A ban as it is after a change.

    Attributes:
        number: the sequence number, from 1.
        ban: the ban.
        expires_at: when its record expires, Unix seconds. Never before that of an event which it
            replaces and which is still stored: otherwise that one would count again.
        replaces: the numbers of the earlier events of the same ban, which may still be stored.
    """

    number: int
    ban: Ban
    expires_at: float
    replaces: tuple[int, ...] = ()

    def record(self, nonce: str) -> Record:
        """The record of this event. `nonce` makes its body different from that of every other."""
        ban = self.ban
        text = _EventText(
            schema_version=CURRENT,
            nonce=nonce,
            replaces=self.replaces,
            ban_id=ban.ban_id,
            viewer_ids=ban.viewer_ids,
            channel_arn=None if ban.channel_arn is None else str(ban.channel_arn),
            made_at=ban.made_at,
            made_by=ban.made_by,
            note=ban.note,
            banned_until=ban.banned_until,
            line=ban.line,
            unconfirmed=ban.unconfirmed,
            channels_left=tuple(map(str, ban.channels_left)),
            lifted_at=ban.lifted_at,
            lifted_by=ban.lifted_by,
        )
        body = text.model_dump_json(exclude_defaults=True)
        return Record(record_id(self.number), body, self.expires_at)

    @classmethod
    def of(cls, record: Record) -> Self:
        """The event in that record.

        Raises:
            StateDamaged: when it is not one that this program writes.
            SchemaUnsupported: when a newer release wrote it.
        """
        try:
            number = int(record.record_id)
            text = _EventText.model_validate_json(record.body)
            arns = [_channel(text.channel_arn)] if text.channel_arn else []
            left = tuple(map(_channel, text.channels_left))
        except (ValidationError, ValueError, InvalidArn) as exc:
            raise StateDamaged(
                f"The ban with the number {record.record_id!r} is damaged.", hint=RESTORE_HINT
            ) from exc
        if text.schema_version > CURRENT:
            raise SchemaUnsupported(
                f"The ban with the number {record.record_id} was written by a newer release of"
                " tokensvc.",
                hint="Install the newer release of tokensvc on this host.",
            )
        ban = Ban(
            ban_id=text.ban_id,
            viewer_ids=text.viewer_ids,
            channel_arn=arns[0] if arns else None,
            made_at=text.made_at,
            made_by=_shared(text.made_by),
            note=_shared(text.note),
            banned_until=text.banned_until,
            line=text.line,
            unconfirmed=text.unconfirmed,
            channels_left=left,
            lifted_at=text.lifted_at,
            lifted_by=_shared(text.lifted_by),
        )
        return cls(number, ban, record.expires_at, text.replaces)


def record_id(number: int) -> str:
    """The record ID of the event with that number. IDs sort as their numbers do."""
    return f"{number:012}"


@dataclass(frozen=True, slots=True)
class Counter:
    """The document `bans`.

    Attributes:
        number: events up to this number are stored.
        epoch: another random text after a restore from a backup, which begins at an earlier number:
            a reader then forgets what it has read. "" before the first ban.
    """

    number: int = 0
    epoch: str = ""

    @classmethod
    def decode(cls, document: Document | None) -> Self:
        """The counter in that document; the first one if it was never saved.

        Raises:
            StateDamaged: when the document is not valid.
            StateMissing: when the state has moved to another place.
            SchemaUnsupported: when a newer release wrote it.
        """
        if document is None:
            return cls()
        text = members_of(document, _CounterText, name=DOCUMENT_NAME)
        return cls(text.number, text.epoch)

    def encode(self) -> str:
        """The body of the document: JSON."""
        text = _CounterText(schema_version=CURRENT, number=self.number, epoch=self.epoch)
        return text.model_dump_json()

    def in_new_epoch(self) -> Counter:
        """The same number in a new epoch."""
        return Counter(self.number, new_nonce())


def new_nonce() -> str:
    """A random text: an epoch, or what makes the body of a record different from all others."""
    return secrets.token_hex(8)


class _EventText(BaseModel):
    model_config = ConfigDict(frozen=True)  # A newer release may add members.

    schema_version: int
    nonce: str
    replaces: tuple[int, ...] = ()
    ban_id: str
    viewer_ids: tuple[str, ...] = ()
    channel_arn: str | None = None
    made_at: int
    made_by: str
    note: str = ""
    banned_until: int | None = None
    line: int = 0
    unconfirmed: bool = False
    channels_left: tuple[str, ...] = ()
    lifted_at: int | None = None
    lifted_by: str = ""


class _CounterText(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    number: int
    epoch: str


@lru_cache(maxsize=4_096)
def _channel(text: str) -> ChannelArn:
    """The channel, shared by its bans."""
    return ChannelArn.parse(text)


@lru_cache(maxsize=1_024)
def _shared(text: str) -> str:
    """One object for a text that many bans have."""
    return text
