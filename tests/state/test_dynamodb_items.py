"""The items of the state in DynamoDB, without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.errors import SettingsInvalid, StateDamaged
from tokensvc.state.base import NEW, Record, Version
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.state.dynamodb_items import (
    Head,
    Outcome,
    body_items,
    body_of,
    body_prefix,
    first_of_number,
    head_after,
    head_item,
    head_of,
    name_of,
    outcome_of,
    record_item,
    record_of,
)

TEXT = st.text(st.characters(codec="utf-8"))
SECONDS = st.floats(0, 4e9)


def saved_times(count: int) -> Head:
    """The head of a document after that many saves, whose nonces are n1, n2 and so on."""
    head: Head | None = None
    for number in range(1, count + 1):
        head = head_after(head, Version(number, f"n{number}"), parts=1)
    assert head is not None
    return head


def test_the_keys_are_those_that_policies_name() -> None:
    """deploy/iam and existing tables depend on them."""
    version = Version(12, "abc")
    head = head_item("ring:us-west-2", saved_times(1))
    (body,) = body_items("ring:us-west-2", version, "{}")
    record = record_item("channel", Record("arn", "{}", 1_800_000_000.5))
    keys = [(item["pk"]["S"], item["sk"]["S"]) for item in (head, body, record)]
    assert keys == [
        ("heads", "ring:us-west-2"),
        ("body/ring:us-west-2", "000000000012/abc/0000"),
        ("record/channel", "arn"),
    ]
    # An hour after it has expired, in whole seconds.
    assert record["delete_at"] == {"N": "1800003601"}


def test_a_head_keeps_the_last_eight_nonces() -> None:
    """The newest first, also after more saves."""
    head = saved_times(11)
    assert head.version == Version(11, "n11")
    assert head.nonces == ("n11", "n10", "n9", "n8", "n7", "n6", "n5", "n4")
    assert head_of(head_item("ring", head)) == head
    assert name_of(head_item("ring", head)) == "ring"


@pytest.mark.parametrize(
    ("saved", "saves", "outcome"),
    [
        (Version(1, "n1"), 0, Outcome.NOT_STORED),
        (Version(3, "n3"), 2, Outcome.NOT_STORED),
        (Version(3, "n3"), 3, Outcome.WON),
        (Version(3, "other"), 3, Outcome.LOST),
        (Version(3, "n3"), 10, Outcome.WON),
        (Version(3, "other"), 10, Outcome.LOST),
        (Version(3, "n3"), 11, Outcome.UNKNOWN),
        (Version(3, "other"), 11, Outcome.UNKNOWN),
    ],
)
def test_what_became_of_a_save_is_known_for_eight_saves(
    saved: Version, saves: int, outcome: Outcome
) -> None:
    """Also when others have replaced it since. A nonce of another number doesn't count."""
    assert outcome_of(saved, saved_times(saves) if saves else None) is outcome


@given(TEXT)
def test_a_body_is_returned_unchanged(body: str) -> None:
    """Any text, also an empty one."""
    assert body_of(body_items("ring", NEW.next(), body)) == body


@pytest.mark.parametrize(("characters", "parts"), [(0, 1), (90_000, 1), (90_001, 2), (270_000, 3)])
def test_a_long_body_has_parts_that_fit_into_an_item(characters: int, parts: int) -> None:
    """An item has at most 409,600 bytes, and a character at most 4."""
    body = "𝄞" * characters
    items = body_items("ring", Version(1, "n"), body)
    assert len(items) == parts
    assert max(len(item["body"]["S"].encode()) for item in items) <= 400_000
    assert [item["sk"]["S"][-5:] for item in items] == [f"/{part:04}" for part in range(parts)]
    assert body_of(items) == body


@given(st.integers(1, 10**11), st.integers(1, 10**11))
def test_the_bodies_before_a_number_are_the_earlier_ones(one: int, other: int) -> None:
    """As DynamoDB compares sort keys: byte by byte."""
    is_before = body_prefix(Version(one, "ffff")) < first_of_number(other)
    assert is_before == (one < other)


@given(st.builds(Record, TEXT, TEXT, SECONDS))
def test_a_record_is_returned_unchanged(record: Record) -> None:
    """To the last digit of its time."""
    assert record_of(record_item("channel", record)) == record


@pytest.mark.parametrize(
    "damage",
    [
        {"nonce": {"S": "other"}},
        {"number": {"N": "x"}},
        {"number": {"S": "1"}},
        {"nonces": {"L": []}},
        {"nonces": {"S": "n1"}},
        {"parts": None},
    ],
)
def test_a_damaged_head_is_named(damage: dict[str, object]) -> None:
    """Its item was changed by something else than this program."""
    item = {**head_item("ring:us-west-2", saved_times(1)), **damage}
    with pytest.raises(StateDamaged, match="heads/ring:us-west-2") as refusal:
        head_of(item)
    assert refusal.value.hint


def test_a_damaged_record_and_a_damaged_body_are_named() -> None:
    """Their items were changed by something else than this program."""
    record = {**record_item("channel", Record("a", "", 1.0)), "expires_at": {"N": ""}}
    with pytest.raises(StateDamaged, match="record/channel/a"):
        record_of(record)
    (body,) = body_items("ring", Version(1, "n"), "{}")
    with pytest.raises(StateDamaged, match="body/ring/000000000001/n/0000"):
        body_of([{**body, "body": {"B": b"{}"}}])


@pytest.mark.parametrize(
    "text", ["us-west-2/abc", "eu-central-1/a.b_c-9", "us-gov-west-1/" + "x" * 255]
)
def test_the_address_of_a_table(text: str) -> None:
    """A region, and a name that DynamoDB allows."""
    address = TableAddress.parse(text)
    assert f"{address.region}/{address.table}" == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "table", "us-west-2", "us-west-2/", "us-west-2/ab", "us-west-2/" + "x" * 256),
        *("US-WEST-2/table", "us-west-2/a b c", "us-west-2/a/b", "us-west-2/täble"),
        "us-west-2/abc\n",
    ],
)
def test_another_text_is_no_address(text: str) -> None:
    """The hint has the form."""
    with pytest.raises(SettingsInvalid) as refusal:
        TableAddress.parse(text)
    assert "dynamodb:REGION/TABLE" in refusal.value.hint
