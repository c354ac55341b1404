"""Answers of the entitlement hook: strictly checked, and they may only tighten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.access.entitlement_answer import (
    MAX_ANSWER_BYTES,
    Answer,
    InvalidAnswer,
    read_answer,
)
from tokensvc.access.origins import common, is_covered
from tokensvc.errors import NotEntitled
from tokensvc.token.claims import PlaybackOptions, Resolution

NOW = 1_800_000_000.5  # 2027-01-15T08:00:00.5Z.
RESOLUTIONS = (None, Resolution.SD, Resolution.HD, Resolution.FULL_HD)
ORIGINS = ("https://*.example.com", "https://a.example.com", "https://b.test", "*")


def answered(**members: Any) -> Answer:
    """The answer with those members."""
    return read_answer(json.dumps({"decision": "allow", **members}).encode())


def test_an_answer_may_have_every_member() -> None:
    """A time is in RFC 3339."""
    answer = answered(
        reason="Füllt",
        cache_seconds=30,
        max_ttl_seconds=60,
        maximum_resolution="HD",
        allowed_origins=["https://a.example.com"],
        single_use=True,
        strict_origin_enforcement=True,
        watch_until="2027-01-15T08:05:00.9Z",
    )
    assert answer == Answer(
        decision="allow",
        reason="Füllt",
        cache_seconds=30,
        max_ttl_seconds=60,
        maximum_resolution=Resolution.HD,
        allowed_origins=("https://a.example.com",),
        single_use=True,
        strict_origin_enforcement=True,
        watch_until=1_800_000_300,
    )
    nothing = dict.fromkeys(("reason", "cache_seconds", "allowed_origins", "watch_until"))
    assert answered(**nothing) == Answer(decision="allow")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"allow",
        b"[]",
        b"null",
        b"{}",
        b'{"decision":"allow"',
        b'{"decision":"allow","decision":"deny"}',
        b'{"decision":"Allow"}',
        b'{"decision":true}',
        b'{"decision":null}',
        b'{"decision":"allow","ttl_seconds":60}',
        b'{"decision":"allow","max_ttl_seconds":"60"}',
        b'{"decision":"allow","max_ttl_seconds":60.0}',
        b'{"decision":"allow","max_ttl_seconds":0}',
        b'{"decision":"allow","max_ttl_seconds":true}',
        b'{"decision":"allow","cache_seconds":-1}',
        b'{"decision":"allow","cache_seconds":NaN}',
        b'{"decision":"allow","cache_seconds":' + 5_000 * b"9" + b"}",
        b'{"decision":"allow","maximum_resolution":"4K"}',
        b'{"decision":"allow","allowed_origins":"https://a.example.com"}',
        b'{"decision":"allow","allowed_origins":["https://a.example.com/path"]}',
        b'{"decision":"allow","allowed_origins":["https://a.example.com,https://b.test"]}',
        b'{"decision":"allow","allowed_origins":[""]}',
        b'{"decision":"allow","single_use":"true"}',
        b'{"decision":"allow","watch_until":1800000000}',
        b'{"decision":"allow","watch_until":"2027-01-15"}',
        b'{"decision":"allow","watch_until":"2027-02-30T08:00:00Z"}',
        b'{"decision":"allow","watch_until":"2027-01-15T08:00:00+01:00"}',
        b'{"decision":"deny","reason":"a\\nb"}',
        b'{"decision":"deny","reason":"' + 201 * b"a" + b'"}',
        b'{"decision":"deny","reason":"\\ud800"}',
        b'{"decision":"deny","reason":"\xff"}',
        b'{"decision":"allow","x":' + 5_000 * b"[" + b"}",
    ],
)
def test_an_answer_that_is_not_valid_is_no_answer(body: bytes) -> None:
    """The error names no value of it, which may be a secret."""
    assert len(body) < MAX_ANSWER_BYTES
    with pytest.raises(InvalidAnswer) as error:
        read_answer(body)
    assert "\n" not in str(error.value)
    assert "example.com" not in str(error.value)


def test_origins_that_fit_into_no_token_are_not_valid() -> None:
    """1,000 characters in all are allowed."""
    of_100_characters = "https://" + 30 * "abc" + ".x"
    assert len(of_100_characters) == 100
    assert len(answered(allowed_origins=9 * [of_100_characters]).allowed_origins) == 9
    with pytest.raises(InvalidAnswer):
        answered(allowed_origins=10 * [of_100_characters])


options = st.builds(
    PlaybackOptions,
    ttl_seconds=st.integers(1, 3_600),
    allowed_origins=st.lists(st.sampled_from(ORIGINS), unique=True).map(tuple),
    strict_origin_enforcement=st.booleans(),
    single_use=st.booleans(),
    maximum_resolution=st.sampled_from(RESOLUTIONS),
)
answers = st.builds(
    Answer,
    decision=st.sampled_from(["allow", "deny"]),
    max_ttl_seconds=st.none() | st.integers(1, 10_000),
    maximum_resolution=st.sampled_from(RESOLUTIONS),
    allowed_origins=st.lists(st.sampled_from(ORIGINS), unique=True).map(tuple),
    strict_origin_enforcement=st.booleans(),
    single_use=st.booleans(),
    watch_until=st.none() | st.integers(int(NOW) - 10, int(NOW) + 5_000),
)


@given(granted=options, answer=answers)
def test_no_answer_widens_what_a_grant_allows(granted: PlaybackOptions, answer: Answer) -> None:
    """Each option is at most what was granted, and at most what the hook says."""
    has_ended = answer.watch_until is not None and answer.watch_until <= int(NOW)
    lists = (granted.allowed_origins, answer.allowed_origins)
    if answer.decision == "deny" or has_ended or (all(lists) and not common(*lists)):
        with pytest.raises(NotEntitled) as refusal:
            answer.tighten(granted, NOW)
        assert [problem.rule for problem in refusal.value.problems] == ["entitlement_hook"]
        return
    tight = answer.tighten(granted, NOW)
    caps = [granted.ttl_seconds]
    caps += [] if answer.max_ttl_seconds is None else [answer.max_ttl_seconds]
    caps += [540] if answer.single_use else []
    caps += [] if answer.watch_until is None else [answer.watch_until - int(NOW)]
    assert tight.ttl_seconds == min(caps) > 0
    assert tight.single_use == (granted.single_use or answer.single_use)
    assert tight.strict_origin_enforcement == (
        granted.strict_origin_enforcement or answer.strict_origin_enforcement
    )
    for resolution in (granted.maximum_resolution, answer.maximum_resolution):
        if resolution is not None:
            assert tight.maximum_resolution is not None
            assert tight.maximum_resolution <= resolution
    for allowed in lists:
        if allowed:
            assert tight.allowed_origins
            for origin in tight.allowed_origins:
                assert any(is_covered(origin, one) for one in allowed)


def test_an_answer_that_would_widen_changes_nothing() -> None:
    """It is capped, not an error."""
    granted = PlaybackOptions(
        ttl_seconds=60,
        allowed_origins=("https://a.example.com",),
        strict_origin_enforcement=True,
        single_use=True,
        maximum_resolution=Resolution.SD,
    )
    answer = answered(
        max_ttl_seconds=3_600,
        allowed_origins=["*"],
        strict_origin_enforcement=False,
        single_use=False,
        maximum_resolution="FULL_HD",
        watch_until="2027-01-16T08:00:00Z",
    )
    assert answer.tighten(granted, NOW) == granted
