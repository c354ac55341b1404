from __future__ import annotations

import json

import pytest

from tests.access.test_api_keys import NOW, document, stored
from tests.support.documents import some_document
from tokensvc.access.api_keys import ApiKeys, authenticate, create
from tokensvc.access.callers import Scope
from tokensvc.errors import InvalidRequest, NotPermitted
from tokensvc.state.schema import CURRENT, PREVIOUS


def test_a_key_has_the_scope_mint_or_those_that_were_given() -> None:
    """Also one that was stored before there were scopes."""
    keys, text = create(ApiKeys(), name="backend", grants=("demo",), now=NOW)
    assert authenticate(keys, text, NOW).scopes == ("mint",)
    assert "scopes" not in json.loads(keys.encode(CURRENT))["keys"][0]
    keys, text = create(keys, name="desk", grants=("demo",), scopes=("moderate",), now=NOW)
    keys = ApiKeys.decode(some_document(keys.encode(CURRENT)))
    assert authenticate(keys, text, NOW).scopes == ("moderate",)
    assert ApiKeys.decode(document({"schema_version": 2, "keys": [stored()]})).keys[0].scopes == (
        "mint",
    )


def test_a_caller_without_a_scope_is_refused_what_needs_it() -> None:
    """Each scope by itself: no scope includes another."""
    keys, text = create(ApiKeys(), name="desk", grants=("a",), scopes=("moderate",), now=NOW)
    caller = authenticate(keys, text, NOW)
    caller.require("moderate")
    others: tuple[Scope, ...] = ("mint", "operate")
    for scope in others:
        with pytest.raises(NotPermitted):
            caller.require(scope)


def test_scopes_are_not_saved_where_the_previous_release_would_ignore_them() -> None:
    """It would let a moderator's key request playback URLs."""
    keys, _ = create(ApiKeys(), name="desk", grants=("a",), scopes=("moderate",), now=NOW)
    with pytest.raises(InvalidRequest):
        keys.encode(PREVIOUS)


def test_a_key_needs_a_grant_only_for_what_channels_it_is_for() -> None:
    """An operator's key has no grants; one that mints or moderates has."""
    create(ApiKeys(), name="operator", grants=(), scopes=("operate",), now=NOW)
    combinations: tuple[tuple[Scope, ...], ...] = (
        ("mint",),
        ("moderate",),
        ("operate", "moderate"),
    )
    for scopes in combinations:
        with pytest.raises(InvalidRequest) as refusal:
            create(ApiKeys(), name="backend", grants=(), scopes=scopes, now=NOW)
        assert [problem.rule for problem in refusal.value.problems] == ["grants_missing"]
    with pytest.raises(InvalidRequest) as refusal:
        create(ApiKeys(), name="backend", grants=("a",), scopes=(), now=NOW)
    assert [problem.rule for problem in refusal.value.problems] == ["scopes_missing"]
