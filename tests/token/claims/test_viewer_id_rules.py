"""The rules of a viewer ID: those of IVS, and this service's own."""

from __future__ import annotations

import pytest

from tokensvc.token.rules import BrokenRule, broken_rules

NOW = 1_800_000_000.0


def broken(viewer_id: object) -> tuple[BrokenRule, ...]:
    """The rules that a token with this viewer ID breaks; it breaks no rule of another claim."""
    payload = {
        "aws:channel-arn": "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",
        "aws:viewer-id": viewer_id,
        "aws:viewer-session-version": 1_800_000_000,
        "exp": 1_800_000_300,
    }
    return broken_rules(payload, NOW)


def enforced_by_ivs(viewer_id: object) -> set[str]:
    """The identifiers of the broken rules that make IVS refuse the token."""
    return {rule.rule for rule in broken(viewer_id) if rule.enforced_by_ivs}


@pytest.mark.parametrize("viewer_id", ["v", "x" * 40, "é" * 40, "🎥" * 40, "@", "a@b", "@b.c"])
def test_a_viewer_id_of_1_to_40_characters_is_valid(viewer_id: str) -> None:
    """Characters are counted, not bytes, and every visible character is allowed."""
    assert broken(viewer_id) == ()


@pytest.mark.parametrize("viewer_id", ["", "x" * 41, "é" * 41, 7, None, ["v"], True])
def test_a_viewer_id_of_another_length_or_type_is_refused(viewer_id: object) -> None:
    """No character, one too many, and a value that is not a string."""
    assert enforced_by_ivs(viewer_id) == {"viewer_id_length"}


@pytest.mark.parametrize("viewer_id", ["ann@example.com", "a@b.c", "a+b@x.y.z"])
def test_an_e_mail_address_as_viewer_id_breaks_this_services_own_rule(viewer_id: str) -> None:
    """IVS does not check it, so tokensvc does; the message does not repeat the address."""
    (rule,) = broken(viewer_id)
    assert (rule.claim, rule.rule) == ("aws:viewer-id", "viewer_id_private")
    assert not rule.enforced_by_ivs
    assert viewer_id not in rule.message


@pytest.mark.parametrize("viewer_id", ["a@b", "a@.b", "a@b.", "a@b@c.d"])
def test_a_viewer_id_that_only_resembles_an_e_mail_address_is_valid(viewer_id: str) -> None:
    """A handle with an @ is not an address."""
    assert broken(viewer_id) == ()


@pytest.mark.parametrize(
    "viewer_id",
    ["+14155550123", "+44 20 7946 0123", "tel:+49-30-123456", "(415) 555-0123", "415-555-0123"],
)
def test_a_telephone_number_as_viewer_id_breaks_this_services_own_rule(viewer_id: str) -> None:
    """IVS asks for viewer IDs without personal data. A number with blanks breaks two rules."""
    found = broken(viewer_id)
    assert {rule.rule for rule in found} - {"viewer_id_visible"} == {"viewer_id_private"}
    assert all(viewer_id not in rule.message for rule in found)


@pytest.mark.parametrize(
    "viewer_id", ["14155550123", "0014155550123", "+12345", "2027-01-15", "415-555-01234", "+1-a"]
)
def test_a_number_that_is_not_written_as_a_telephone_number_is_valid(viewer_id: str) -> None:
    """Most IDs in databases are plain numbers."""
    assert broken(viewer_id) == ()


@pytest.mark.parametrize(
    "character",
    [
        *" \t\n\xa0\u2003\u2028\u3000",  # Blanks.
        *"\x00\x1b\x7f\x85",  # Control characters.
        *"\u061c\u200e\u202e\u2066\u2069",  # Bidirectional ones.
        *"\xad\u200b\u200d\u2060\ufeff",  # Without a width.
        *"\u115f\u1160\u2800\u3164\uffa0",  # Letters and a symbol that are blank.
    ],
)
def test_an_invisible_character_breaks_this_services_own_rule(character: str) -> None:
    """At every position. Such an ID looks the same as another one."""
    for viewer_id in (f"{character}é", f"v{character}w", f"v{character}", character):
        (rule,) = broken(viewer_id)
        assert (rule.rule, rule.enforced_by_ivs) == ("viewer_id_visible", False)
        assert rule.message.isprintable()


def test_a_viewer_id_with_an_unpaired_surrogate_is_refused() -> None:
    """Such a token could not be encoded, and its viewer could not be revoked."""
    assert enforced_by_ivs("v\ud800") == {"viewer_id_unicode"}
