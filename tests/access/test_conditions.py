"""The conditions of a grant on the claims of a token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.access.grants import ARN, EVERY, caller, channels, user
from tokensvc.access.conditions import Condition, conditions_in
from tokensvc.access.grants import Grant, scope
from tokensvc.errors import NotEntitled


@pytest.mark.parametrize(
    ("table", "claims"),
    [
        ({"groups": "members"}, {"groups": "members"}),
        ({"groups": "members"}, {"groups": ["staff", "members"]}),
        ({"email_verified": True}, {"email_verified": True}),
        ({"level": 3}, {"level": 3}),
        ({"level": 3}, {"level": [1, 3]}),
        ({"scope": "video"}, {"scope": "openid video"}),
        ({"scope": "video"}, {"scope": "video"}),
        ({"scope": "video"}, {"scope": ["openid", "video"]}),
        ({"realm_access": {"roles": "viewer"}}, {"realm_access": {"roles": ["viewer"]}}),
        ({"https://example.com/roles": "vip"}, {"https://example.com/roles": ["vip"]}),
        ({"groups": "members", "level": 3}, {"groups": ["members"], "level": 3}),
    ],
)
def test_a_claim_that_is_the_value_or_contains_it_meets_a_condition(
    table: dict[str, object], claims: dict[str, object]
) -> None:
    """A list contains it, and so does a text of words in the claim `scope`."""
    assert all(condition.holds(claims) for condition in conditions_in(table))


@pytest.mark.parametrize(
    ("table", "claims"),
    [
        ({"groups": "members"}, {}),
        ({"groups": "members"}, {"groups": None}),
        ({"groups": "members"}, {"groups": []}),
        ({"groups": "members"}, {"groups": "Members"}),
        ({"groups": "members"}, {"groups": "members "}),
        ({"groups": "members"}, {"groups": "non-members"}),
        ({"groups": "members"}, {"groups": "staff members"}),
        ({"groups": "members"}, {"groups": [["members"]]}),
        ({"groups": "members"}, {"groups": {"members": True}}),
        ({"scope": "video"}, {"scope": "openid video:write"}),
        ({"scope": "video"}, {"scope": "openid\tvideo"}),
        ({"email_verified": True}, {"email_verified": 1}),
        ({"email_verified": True}, {"email_verified": "true"}),
        ({"level": 1}, {"level": True}),
        ({"level": 1}, {"level": 1.0}),
        ({"level": 1}, {"level": "1"}),
        ({"realm_access": {"roles": "viewer"}}, {"realm_access.roles": "viewer"}),
        ({"realm_access.roles": "viewer"}, {"realm_access": {"roles": "viewer"}}),
        ({"realm_access": {"roles": "viewer"}}, {"realm_access": "roles"}),
        ({"realm_access": {"scope": "viewer"}}, {"realm_access": {"scope": "a viewer"}}),
        ({"groups": "members", "level": 3}, {"groups": ["members"], "level": 4}),
    ],
)
def test_any_other_claim_does_not(table: dict[str, object], claims: dict[str, object]) -> None:
    """Missing, of another type, in another case, part of a word, or elsewhere in the token."""
    assert not all(condition.holds(claims) for condition in conditions_in(table))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["", "a", "a b"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@given(claims=st.dictionaries(st.sampled_from(["a", "scope"]), JSON), value=st.sampled_from("ab"))
def test_no_claim_of_any_form_raises_an_error(claims: dict[str, object], value: str) -> None:
    """The issuer decides what is in a token. What holds without a claim is a mistake."""
    for path in (("a",), ("scope",), ("a", "b")):
        held = Condition(path, value).holds(claims)
        assert not held or value in str(claims)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"groups": ["members"]},
        {"groups": {}},
        {"groups": 1.5},
        {"groups": None},
        {"scope": "openid video"},
        {"scope": ""},
        {"scope": 1},
        {"a": {"b": {"c": {"d": {"e": {"f": "too deep"}}}}}},
    ],
)
def test_conditions_of_another_form_are_refused(table: dict[str, object]) -> None:
    """No condition at all would hold for everyone."""
    with pytest.raises(ValueError, match=r"must|Name"):
        conditions_in(table)


MEMBERS = Grant("members", channels(EVERY), when=(Condition(("groups",), "members"),))


def test_a_grant_applies_only_if_the_token_meets_its_conditions() -> None:
    """An API key has no claims, so such a grant never applies to it."""
    grants = {"members": MEMBERS}
    assert scope(grants, user("members", groups=["members"]), ARN) is MEMBERS
    for other in (user("members", groups=["staff"]), user("members"), caller("members")):
        with pytest.raises(NotEntitled) as refusal:
            scope(grants, other, ARN)
        assert refusal.value.rule == "grant_conditions"


def test_a_client_can_not_distinguish_a_condition_from_a_channel_without_a_grant() -> None:
    """Only the audit says more: the channel may be one that the caller must not know of."""
    with pytest.raises(NotEntitled) as conditions:
        scope({"members": MEMBERS}, user("members"), ARN)
    with pytest.raises(NotEntitled) as not_covered:
        scope({}, user("members"), ARN)
    assert str(conditions.value) == str(not_covered.value)
    assert conditions.value.problems == not_covered.value.problems
    assert [problem.rule for problem in not_covered.value.problems] == ["no_grant"]
    assert not_covered.value.rule == "no_grant"
