"""Raise the schema version in which the state is written, when every process has this release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from tokensvc.access import api_keys, recorded_secrets
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.bans import record as bans
from tokensvc.access.bans.record import Counter
from tokensvc.access.oidc import refreshes
from tokensvc.access.oidc.refreshes import IssuerRefreshes
from tokensvc.access.recorded_secrets import RecordedSecrets
from tokensvc.errors import StateConflict, StateDamaged
from tokensvc.keyring.reporting import record
from tokensvc.keyring.reporting.record import ReconcileRecord
from tokensvc.keyring.ring_document import decode_ring, encode_ring, is_ring
from tokensvc.state.base import Document, State
from tokensvc.state.schema import (
    CURRENT,
    DOCUMENT_NAME,
    schema_document,
    schema_of,
    written_schema,
)

_MAX_ATTEMPTS = 5


def upgrade_state(state: State) -> Iterator[str]:
    """Write every document in the current schema from now on, and yield those rewritten now.

    It can be run again after a crash, and while other processes save.

    Raises:
        StateUnavailable: when the state can't be read or written now.
        StateDamaged: when a document is damaged, or not one of this release.
        StateConflict: when another process saves a document again and again.
    """
    # First, so that no process of this release writes the previous schema after its rewrite.
    if written_schema(state) != CURRENT:
        replacing = state.version(DOCUMENT_NAME)
        state.save(DOCUMENT_NAME, schema_document(CURRENT), replacing=replacing)
    for name in state.versions():
        if name != DOCUMENT_NAME and _rewrite(state, name):
            yield name


def _rewrite(state: State, name: str) -> bool:
    """Rewrite the document in the current schema. Returns False when it has it already."""
    for _ in range(_MAX_ATTEMPTS):
        document = state.load(name)
        if document is None or schema_of(document, what=_what(name)) == CURRENT:
            return False
        with suppress(StateConflict):
            state.save(name, _in_current_schema(name, document), replacing=document.version)
            return True
    raise StateConflict(
        f"Other processes save the document {name!r} again and again.",
        hint="Run `tokensvc state upgrade` again.",
    )


def _in_current_schema(name: str, document: Document) -> str:
    if is_ring(name):
        return encode_ring(decode_ring(document))
    if name == api_keys.DOCUMENT_NAME:
        return ApiKeys.decode(document).encode()
    if name == record.DOCUMENT_NAME:
        return ReconcileRecord.decode(document).encode()
    if name == bans.DOCUMENT_NAME:
        return Counter.decode(document).encode()
    if name == recorded_secrets.DOCUMENT_NAME:
        return RecordedSecrets.decode(document).encode()
    if name == refreshes.DOCUMENT_NAME:
        return IssuerRefreshes.decode(document).encode()
    raise StateDamaged(
        f"This release of tokensvc does not know the document {name!r}.",
        hint="Install the release that wrote it.",
    )


def _what(name: str) -> str:
    return f"The document `{name}`"
