"""Check the schema version of a document in the state before anything else in it is read."""

from __future__ import annotations

from pydantic import BaseModel

from tokensvc.errors import SchemaUnsupported, StateDamaged
from tokensvc.state.base import Document


class _Head(BaseModel):
    """The only member that is parsed: this release may not know the others of a newer document."""

    schema_version: int


def require_schema(document: Document, supported: int, *, what: str) -> None:
    """Check that this release can read the document.

    Args:
        document: the document.
        supported: the schema version that this release reads.
        what: the content of the document, at the beginning of the error message.

    Raises:
        ValueError: when the document has no schema version.
        SchemaUnsupported: when a newer release wrote it.
        StateDamaged: when no release wrote its schema version.
    """
    stored = _Head.model_validate_json(document.body).schema_version
    if stored > supported:
        raise SchemaUnsupported(
            f"{what} can't be read: the stored document has schema version {stored}, but this"
            f" release of tokensvc reads version {supported}.",
            hint="Install the newer release of tokensvc on this host.",
        )
    if stored != supported:
        raise StateDamaged(
            f"{what} can't be read: schema version {stored} does not exist.",
            hint="Restore the state from a backup.",
        )
