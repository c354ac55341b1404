"""The schema version of the documents in the state, so that a fleet can be upgraded by rolling.

A release reads the previous schema and its own. It writes the previous one until `tokensvc state
upgrade`, which an operator runs when every process has the new release: until then, processes of
the previous release read what it writes. A new state begins with the current schema.

    version 1  the first one
    version 2  the limit of a ring's age is named `ring_max_age_seconds`; members that version 1
               does not have, such as a pause of scheduled rotation

The document `schema` holds the version that is written. Each document has its own version too.
"""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.errors import SchemaUnsupported, StateDamaged
from tokensvc.state.base import Document, State
from tokensvc.state.moving import require_not_moved

PREVIOUS: Final = 1
CURRENT: Final = 2
DOCUMENT_NAME: Final = "schema"
RESTORE_HINT: Final = (
    "Restore a backup: `tokensvc state restore BACKUP --replace`. For a state in DynamoDB, see"
    " docs/state-dynamodb.md."
)
"""The hint for a document that is damaged, in a state that can be read otherwise."""


Stored = TypeVar("Stored", bound=BaseModel)


class _Head(BaseModel):
    """The only member that is parsed: this release may not know the others of a newer document."""

    model_config = ConfigDict(strict=True)

    schema_version: int


def schema_document(version: int) -> str:
    """The body of the document `schema` for that version."""
    return _Head(schema_version=version).model_dump_json()


def written_schema(state: State) -> int:
    """The schema version in which documents are written now.

    Raises:
        StateUnavailable: when the state can't be read now.
        SchemaUnsupported: when it is that of a newer release.
        StateDamaged: when the document is damaged.
    """
    document = state.load(DOCUMENT_NAME)
    return PREVIOUS if document is None else schema_of(document, what="The state")


def schema_of(document: Document, *, what: str) -> int:
    """The schema version of that document, which this release can read.

    Args:
        document: the document.
        what: the content of the document, at the beginning of the error message.

    Raises:
        StateMissing: when the state has moved to another place.
        SchemaUnsupported: when a newer release wrote it.
        StateDamaged: when it has no schema version, or one that no release wrote.
    """
    require_not_moved(document)
    try:
        version = _Head.model_validate_json(document.body).schema_version
    except ValidationError as exc:
        raise _damaged(what, "it has no schema version") from exc
    if version > CURRENT:
        raise SchemaUnsupported(
            f"{what} can't be read: the stored document has schema version {version}, but this"
            f" release of tokensvc reads versions {PREVIOUS} and {CURRENT}.",
            hint="Install the newer release of tokensvc on this host.",
        )
    if version < PREVIOUS:
        raise _damaged(what, f"schema version {version} does not exist")
    return version


def members_of(document: Document, stored: type[Stored], *, name: str) -> Stored:
    """What that document says, as the model of its members.

    Args:
        document: the document.
        stored: the model.
        name: the name of the document.

    Raises:
        StateMissing: when the state has moved to another place.
        SchemaUnsupported: when a newer release wrote it.
        StateDamaged: when it is not valid.
    """
    what = f"The document `{name}`"
    schema_of(document, what=what)
    try:
        return stored.model_validate_json(document.body)
    except ValidationError as exc:
        raise StateDamaged(f"{what} of the state is not valid.", hint=RESTORE_HINT) from exc


def _damaged(what: str, reason: str) -> StateDamaged:
    return StateDamaged(f"{what} can't be read: {reason}.", hint=RESTORE_HINT)
