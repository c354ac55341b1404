"""What tests do with the documents of a state: save the next version, and read what is stored."""

from __future__ import annotations

from tokensvc.state.base import Document, State, Version

SOME_VERSION = Version(1, "some nonce")
"""For documents that are only decoded."""


def save_next(state: State, name: str, body: str) -> int:
    """Save the document over its stored version. Returns the number of the new version."""
    return state.save(name, body, replacing=state.version(name)).number


def stored(state: State, name: str) -> tuple[str, int]:
    """The body of the stored document, and the number of its version."""
    document = state.load(name)
    assert document is not None
    return document.body, document.version.number


def some_document(body: str) -> Document:
    """A document that no state has, for tests that decode it."""
    return Document(body, SOME_VERSION)
