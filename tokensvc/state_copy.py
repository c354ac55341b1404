"""Copy the state to another place, while the fleet runs.

Each document is replaced by a marker before it is copied. From then on no process can change it in
the old place, so that nothing is lost and no two places go on. Processes with the old settings use
what they have read, until it is too old.

Bans are records that their document counts. They are copied after the document was replaced: what
is written later is not counted, so no one relies on it.

The schema is the first. Its marker decides between two copies to different places, and no process
begins to save a new document after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from tokensvc.access.bans import record as bans
from tokensvc.errors import StateConflict, StateCopyRefused
from tokensvc.playback.revocation.due_ends import DueEnds
from tokensvc.state import schema
from tokensvc.state.base import NEW, Document, Record, State
from tokensvc.state.moving import Marker, marker_in

RECORDS_OF: Final[Mapping[str, str]] = {bans.DOCUMENT_NAME: bans.KIND}
"""The kind of the records that belong to a document, and are copied with it."""

_MAX_ATTEMPTS: Final = 5
_MAX_PUT_AT_ONCE: Final = 500


def copy_state(source: State, target: State, *, source_url: str, target_url: str) -> Iterator[str]:
    """Copy all documents, and yield the name of each one that was copied and read back.

    Bans and due ends are copied too. Other records are not: they have what processes learn again,
    such as answers about channels. It can be run again after an interruption, and continues.

    Args:
        source: the state that is used now.
        target: a state without documents, or one that was copied to `source` before.
        source_url: the URL of the source.
        target_url: the URL of the target, for those that still use the source.

    Raises:
        StateCopyRefused: when the source has moved elsewhere or is in the previous schema, or the
            target has other documents. Nothing was changed.
        StateConflict: when a process saves a document of the source again and again.
        StateUnavailable: when a state can't be read or written now.
        StateDamaged: when a document can't be read.
    """
    target.create()
    bodies = _bodies(source, target_url)
    _require_copyable(bodies, source_url)
    _require_room(target, bodies, source_url, target_url)
    copied: set[str] = set()
    while left := sorted(source.versions().keys() - copied, key=_place_in_order):
        name = left[0]
        body = _replace_by_marker(source, name, target_url)
        if name in RECORDS_OF:
            _copy_records(source, target, name)
        _store(target, name, body)
        copied.add(name)
        yield name
    # Last: one that is stored later is refused, because the schema says that the state has moved.
    DueEnds(target).merge(DueEnds(source).all())


def _place_in_order(name: str) -> tuple[bool, str]:
    """A sort key: the schema is the first, and the others go by their names."""
    return name != schema.DOCUMENT_NAME, name


def _bodies(source: State, target_url: str) -> Mapping[str, str]:
    """The body of each document, also of those that are markers already."""
    return {
        name: _body_of(document, target_url)
        for name in source.versions()
        if (document := source.load(name)) is not None
    }


def _body_of(document: Document, target_url: str) -> str:
    marker = marker_in(document)
    if marker is None:
        return document.body
    if marker.moved_to != target_url:
        raise StateCopyRefused(
            f"The state has already moved to {marker.moved_to}.",
            hint="Name that state as the first argument.",
        )
    return marker.body


def _require_copyable(bodies: Mapping[str, str], source_url: str) -> None:
    written = bodies.get(schema.DOCUMENT_NAME)
    version = (
        schema.PREVIOUS
        if written is None
        else schema.schema_of(Document(written, NEW), what="The state")
    )
    if version != schema.CURRENT:
        raise StateCopyRefused(
            f"The state {source_url} is written in the schema of the previous release.",
            hint="Run `tokensvc state upgrade` first, when every process has this release.",
        )


def _require_room(
    target: State, bodies: Mapping[str, str], source_url: str, target_url: str
) -> None:
    """Return if each document of the target is the copy, or a marker that names the source."""
    for name in target.versions():
        stored = target.load(name)
        if stored is None or stored.body == bodies.get(name):
            continue
        marker = marker_in(stored)
        if marker is not None and marker.moved_to == source_url and name not in bodies:
            raise StateCopyRefused(
                f"An earlier copy from {target_url} to {source_url} was interrupted. Nothing was"
                " copied.",
                hint=f"Finish it first: `tokensvc state copy {target_url} {source_url}`.",
            )
        if marker is None or marker.moved_to != source_url:
            raise StateCopyRefused(
                f"The state {target_url} has a document {name!r} of its own. Nothing was copied.",
                hint="Copy to an empty state: use another file or table.",
            )


def _replace_by_marker(source: State, name: str, target_url: str) -> str:
    """Replace the document by a marker, and return its body."""
    for _ in range(_MAX_ATTEMPTS):
        document = source.load(name)
        if document is None:
            break
        body = _body_of(document, target_url)
        if marker_in(document) is not None:
            return body
        with suppress(StateConflict):
            source.save(
                name, Marker(moved_to=target_url, body=body).encode(), replacing=document.version
            )
            return body
    raise StateConflict(
        f"Other processes save the document {name!r} again and again.",
        hint="Run the command again. It will continue.",
    )


def _copy_records(source: State, target: State, name: str) -> None:
    """Copy the records of the document, unless they were copied before."""
    stored = target.load(name)
    if stored is not None and marker_in(stored) is None:
        return
    kind = RECORDS_OF[name]
    records = {record.record_id: record for record in source.records(kind)}
    # Records from before the target was copied to the source.
    target.remove_many(kind, [each.record_id for each in target.records(kind)])
    for some in _batched(records.values(), _MAX_PUT_AT_ONCE):
        target.put_many(kind, some)
    if {record.record_id: record for record in target.records(kind)} != records:
        raise StateConflict(
            f"Another process has changed the copies of the {name}.",
            hint="Stop the processes that use the new state, and run the command again.",
        )


def _batched(records: Collection[Record], size: int) -> Iterator[Sequence[Record]]:
    """The records, so many at once."""
    remaining = iter(records)
    while batch := tuple(islice(remaining, size)):
        yield batch


def _store(target: State, name: str, body: str) -> None:
    stored = target.load(name)
    if stored is None or stored.body != body:
        target.save(name, body, replacing=NEW if stored is None else stored.version)
    copy = target.load(name)
    if copy is None or copy.body != body:
        raise StateConflict(
            f"Another process has changed the copy of the document {name!r}.",
            hint="Stop the processes that use the new state, and run the command again.",
        )
