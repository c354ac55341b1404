"""The marker that replaces a document when the state is copied to another place.

Whoever reads a marker is refused with the place to which the state has moved, so that a process
with old settings changes nothing. The marker keeps the document, so that a copy which was
interrupted can continue.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.errors import StateMissing
from tokensvc.state.base import Document

_NEVER_WRITTEN: Final = 0  # So that no release reads a marker as a document.


class Marker(BaseModel):
    """A document that was moved.

    Attributes:
        schema_version: none that a document has.
        moved_to: the URL of the state that has the document now.
        body: the body of the document.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int = _NEVER_WRITTEN
    moved_to: str
    body: str

    def encode(self) -> str:
        """The body that is stored instead of the document."""
        return self.model_dump_json()


def marker_in(document: Document) -> Marker | None:
    """The marker that is stored as this document; None if it is a document as usual."""
    try:
        return Marker.model_validate_json(document.body)
    except ValidationError:
        return None


def require_not_moved(document: Document) -> None:
    """Return unless the document was moved.

    Raises:
        StateMissing: when it was moved.
    """
    if (marker := marker_in(document)) is not None:
        raise StateMissing(
            f"The state has moved to {marker.moved_to}.",
            hint="Set state.url to it in the settings, and restart this process.",
        )
