"""What a restore from a backup stores: the backup, marked as what it is.

A backup has the past. Meanwhile its standby may have signed, and API keys may have been revoked. So
each ring records that it was restored (rule 4), and each API key needs to be confirmed. Bans are
those of the backup, and every process forgets the others: `tokensvc state restore` says so. Every
document gets a new version, so that no process that read the lost state, or the same document
before the backup, can save over it (rule 7), and every process that watches it reads it again.
"""

from __future__ import annotations

import dataclasses

from tokensvc.access import api_keys, recorded_secrets
from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.bans import record as bans
from tokensvc.access.bans.record import Counter
from tokensvc.access.oidc import refreshes
from tokensvc.access.oidc.refreshes import IssuerRefreshes
from tokensvc.access.recorded_secrets import RecordedSecrets
from tokensvc.errors import StateDamaged
from tokensvc.keyring.reporting import record
from tokensvc.keyring.reporting.record import ReconcileRecord
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.ring_document import decode_ring, encode_ring, is_ring
from tokensvc.state import schema
from tokensvc.state.base import NEW, Contents, Document, State


def as_restored(backup: Contents, by: str) -> Contents:
    """The contents of a state that the operator `by` restores from that backup.

    It is in the current schema: a process of the previous release would delete what must drain, and
    accept API keys that are not confirmed.

    Raises:
        StateDamaged: when a document is damaged, or not one of this release.
        SchemaUnsupported: when a newer release wrote it.
    """
    # A worker refuses a state in which a document is missing that it has read before.
    empty = {
        api_keys.DOCUMENT_NAME: Document(ApiKeys().encode(), NEW),
        record.DOCUMENT_NAME: Document(ReconcileRecord().encode(), NEW),
        refreshes.DOCUMENT_NAME: Document(IssuerRefreshes().encode(), NEW),
        bans.DOCUMENT_NAME: Document(Counter().encode(), NEW),
    }
    documents = empty | dict(backup.documents)
    restored = {
        name: Document(_restored_body(name, document, by), document.version.next())
        for name, document in documents.items()
        if name != schema.DOCUMENT_NAME
    }
    replaced = backup.documents.get(schema.DOCUMENT_NAME)
    restored[schema.DOCUMENT_NAME] = Document(
        schema.schema_document(schema.CURRENT), (replaced.version if replaced else NEW).next()
    )
    return Contents(restored, backup.records)


def mark_as_restored(state: State, by: str) -> Contents:
    """Mark what is in the state as restored, in place, and return the documents.

    For a store that was restored as a whole, such as a table to a point in time. It can be run
    again. API keys come first: until they are marked, one that was revoked would work.

    Raises:
        StateDamaged: when a document is damaged, or not one of this release. Nothing was changed.
        SchemaUnsupported: when a newer release wrote it.
        StateConflict: when another process saves a document meanwhile.
        StateUnavailable: when the state can't be read or written now.
    """
    stored = {
        name: document for name in state.versions() if (document := state.load(name)) is not None
    }
    contents = as_restored(Contents(stored), by)
    for name in sorted(contents.documents, key=lambda name: name != api_keys.DOCUMENT_NAME):
        replacing = stored[name].version if name in stored else NEW
        state.save(name, contents.documents[name].body, replacing=replacing)
    return contents


def _restored_body(name: str, document: Document, by: str) -> str:
    if is_ring(name):
        ring = decode_ring(document)
        return encode_ring(dataclasses.replace(ring, restoration=Restoration(by)))
    if name == api_keys.DOCUMENT_NAME:
        return api_keys.as_restored(ApiKeys.decode(document)).encode()
    if name == bans.DOCUMENT_NAME:
        # Whoever has read later events must not take their numbers for those of the backup.
        return Counter.decode(document).in_new_epoch().encode()
    if name == record.DOCUMENT_NAME:
        return ReconcileRecord.decode(document).encode()
    if name == recorded_secrets.DOCUMENT_NAME:
        return RecordedSecrets.decode(document).encode()
    if name == refreshes.DOCUMENT_NAME:
        return IssuerRefreshes.decode(document).encode()
    raise StateDamaged(
        f"This release of tokensvc does not know the document {name!r} of the backup.",
        hint="Install the release that made the backup.",
    )
