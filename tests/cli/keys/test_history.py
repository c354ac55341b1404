"""`tokensvc keys history`."""

from __future__ import annotations

from tests.cli.conftest import Desk
from tokensvc.errors import KeyNotFound


def test_history_has_operator_key_time_and_reason_of_each_transition(rotating_desk: Desk) -> None:
    """Every transition of a first key and its standby, oldest first."""
    first, standby = (pair.key_id for pair in rotating_desk.ring().pairs)

    lines = rotating_desk.json("keys", "history")

    assert [(line["key_id"], line["from_state"], line["to_state"]) for line in lines] == [
        (first, None, "pending"),
        (first, "pending", "published"),
        (first, "published", "active"),
        (standby, None, "pending"),
        (standby, "pending", "published"),
    ]
    assert [line["at"] for line in lines[1:3]] == ["2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"]
    assert all("@" in line["by"] and line["why"] for line in lines)
    assert {line["region"] for line in lines} == {"us-west-2"}


def test_history_of_one_key_has_a_line_for_marking_it_as_compromised(rotating_desk: Desk) -> None:
    """The line is in its place, with the reason."""
    key_id = rotating_desk.ring().pairs[1].key_id
    rotating_desk.done("keys", "revoke", key_id, "--yes", "--reason", "laptop lost")

    lines = rotating_desk.json("keys", "history", key_id)

    assert [line["to_state"] for line in lines] == [
        "pending",
        "published",
        "compromised",
        "retiring",
        "retired",
    ]
    assert lines[2]["why"] == "laptop lost"
    shown = rotating_desk.json("keys", "show", key_id)["history"]
    assert [line["to_state"] for line in shown] == [line["to_state"] for line in lines]


def test_history_for_people_is_a_table(rotating_desk: Desk) -> None:
    """A heading and a line for each transition."""
    lines = rotating_desk.done("keys", "history").splitlines()

    assert lines[0].split() == ["AT", "REGION", "KEY", "FROM", "TO", "BY", "WHY"]
    assert len(lines) == 6


def test_a_region_without_a_ring_has_no_history(desk: Desk) -> None:
    """An empty list, and no ring is created."""
    desk.state.create()
    assert desk.json("keys", "history") == []
    assert desk.state.load("ring:us-west-2") is None


def test_the_history_of_an_unknown_key_is_an_error(rotating_desk: Desk) -> None:
    """A typo in the ID must not look like a key without a history."""
    error = rotating_desk.error("keys", "history", "typo")
    assert isinstance(error, KeyNotFound)
    assert "`tokensvc keys history`" in error.hint
