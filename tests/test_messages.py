"""The page that collects every message: `docs/reference/messages.md`."""

from __future__ import annotations

from pathlib import Path

from scripts.messages_page import Message, messages_of, messages_page

PAGE = Path(__file__).parents[1] / "docs/reference/messages.md"
MODULE = '''
"""A docstring that only readers of the source see."""
_SQL = "SELECT name FROM things"
_REGION_HINT = "Add the region to ivs.regions."

def load(path):
    _log.warning("Request %s was slow.", path)
    if not path:
        raise StateDamaged(
            f"The file {path.name} can't "
            "be read.",
            hint="Restore it: " + command,
        )
    return {"path": "name"}
'''


def test_each_message_is_listed_with_what_it_belongs_to() -> None:
    """Joined strings are one message; docstrings, SQL and single words are none."""
    assert list(messages_of(MODULE, {"StateDamaged": "state_damaged"})) == [
        Message("text", "Add the region to ivs.regions."),
        Message("log", "Request %s was slow."),
        Message("state_damaged", "The file {path.name} can't be read."),
        Message("hint", "Restore it: {command}"),
    ]


def test_the_page_in_docs_is_current() -> None:
    """It is generated: `python -m scripts.messages_page > docs/reference/messages.md`."""
    assert PAGE.read_text() == messages_page()
