"""The schema version that every document of the state begins with, read before anything else."""

from __future__ import annotations

from pydantic import BaseModel

from tokensvc.errors import StateDamaged
from tokensvc.state.base import Document


class _Head(BaseModel):
    """All that is looked at: a newer document's other members may be unknown here."""

    schema_version: int


def require_schema(document: Document, ours: int, *, what: str) -> None:
    """Return when the document is of the schema version that this program reads.

    Args:
        document: the document.
        ours: that version.
        what: what the document holds, as the words of an error begin.

    Raises:
        ValueError: when it names no version.
        StateDamaged: when it names another.
    """
    theirs = _Head.model_validate_json(document.body).schema_version
    if theirs != ours:
        raise StateDamaged(
            f"{what} in the state: schema version {theirs}, and this program reads {ours}.",
            hint="Another release of tokensvc wrote it: run that one here too.",
        )
