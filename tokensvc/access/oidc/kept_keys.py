"""The last good keys of each issuer, kept in the state for a process that starts meanwhile.

Every process fetches the keys itself, also at its start. The kept ones are used until that
succeeds: a process can start while an issuer does not answer. Their age counts from their fetch.

The last failed fetch is kept beside them, for `tokensvc issuers list`.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.access.oidc.key_sets import KeySet, usable_keys
from tokensvc.errors import TokensvcError
from tokensvc.state.base import Record, State
from tokensvc.state.record_writer import RecordWriter

KIND: Final = "issuer-keys"

KEEP_FAILURE_SECONDS: Final = 60.0
"""The interval in which a process writes that its fetches fail."""

_FAILURE_SUFFIX: Final = "/failure"  # No name of an issuer has a slash.


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """Keys of an issuer.

    Attributes:
        issuer: the URL of the issuer.
        keys: the keys.
        fetched_at: when the fetch was sent, Unix seconds.
    """

    issuer: str
    keys: KeySet
    fetched_at: float


@dataclass(frozen=True, slots=True)
class FailedFetch:
    """A fetch of an issuer's keys that has failed.

    Attributes:
        at: when it was sent, Unix seconds.
        by: the process that has sent it.
        detail: why it has failed, for the operator.
    """

    at: float
    by: str
    detail: str


class KeptKeys:
    """The kept keys of one issuer."""

    def __init__(
        self,
        state: State,
        writer: RecordWriter,
        *,
        name: str,
        issuer: str,
        jwks_url: str | None,
        valid_seconds: float,
    ) -> None:
        """Nothing is read or written yet.

        Args:
            state: the state.
            writer: writes records of this kind.
            name: the name of the issuer in the settings.
            issuer: its URL.
            jwks_url: the URL of its keys in the settings, if there is one.
            valid_seconds: the age from which kept keys are of no use.
        """
        self._state = state
        self._writer = writer
        self._name = name
        self._issuer = issuer
        self._source = jwks_url or ""
        self._valid_seconds = valid_seconds
        self._failure_kept_at = -math.inf

    def keep(self, keys: KeySet, fetched_at: float) -> None:
        """Keep these keys, in the background."""
        body = _Kept(
            issuer=self._issuer,
            source=self._source,
            fetched_at=fetched_at,
            keys=[dict(key.jwk) for key in keys.keys],
        )
        expires_at = fetched_at + self._valid_seconds
        self._writer.put(Record(self._name, body.model_dump_json(), expires_at))

    def keep_failure(self, failure: TokensvcError, at: float) -> None:
        """Keep why the fetch at that time failed, in the background, unless one is quite new."""
        if at - self._failure_kept_at < KEEP_FAILURE_SECONDS:
            return
        self._failure_kept_at = at
        by = f"{socket.gethostname()} process {os.getpid()}"
        body = _Failure(at=at, by=by, detail=failure.detail)
        record_id = f"{self._name}{_FAILURE_SUFFIX}"
        self._writer.put(Record(record_id, body.model_dump_json(), at + self._valid_seconds))

    def load(self) -> FetchedKeys | None:
        """The kept keys; None if there are none for these settings.

        Raises:
            StateUnavailable: when the state can't be read now.
        """
        record = self._state.record(KIND, self._name)
        kept = None if record is None else _decoded(record)
        if kept is None or (kept.issuer, kept.source) != (self._issuer, self._source):
            return None
        return _fetched(kept)


def kept_keys(state: State) -> Mapping[str, FetchedKeys]:
    """The kept keys of every issuer, by its name in the settings.

    Raises:
        StateUnavailable: when the state can't be read now.
    """
    decoded = {record.record_id: _decoded(record) for record in state.records(KIND)}
    return {name: _fetched(kept) for name, kept in decoded.items() if kept is not None}


def failed_fetches(state: State) -> Mapping[str, FailedFetch]:
    """The last failed fetch of every issuer, by its name in the settings.

    Raises:
        StateUnavailable: when the state can't be read now.
    """
    failures = {
        record.record_id.removesuffix(_FAILURE_SUFFIX): _decoded_failure(record)
        for record in state.records(KIND)
        if record.record_id.endswith(_FAILURE_SUFFIX)
    }
    return {name: failure for name, failure in failures.items() if failure is not None}


class _Failure(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    at: float
    by: str
    detail: str


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    issuer: str
    source: str
    fetched_at: float
    keys: Sequence[dict[str, str]]


def _decoded(record: Record) -> _Kept | None:
    """The kept keys; None for a record that another release wrote in another form."""
    try:
        return _Kept.model_validate_json(record.body)
    except ValidationError:
        return None


def _decoded_failure(record: Record) -> FailedFetch | None:
    """The failure; None for a record that another release wrote in another form."""
    try:
        kept = _Failure.model_validate_json(record.body)
    except ValidationError:
        return None
    return FailedFetch(kept.at, kept.by, kept.detail)


def _fetched(kept: _Kept) -> FetchedKeys:
    return FetchedKeys(kept.issuer, usable_keys(kept.keys), kept.fetched_at)
