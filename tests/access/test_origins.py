"""Which origins cover others, what two lists have in common, and mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.access.origins import common, is_covered, mistake_in

HOSTS = st.lists(st.sampled_from(["a", "b", "example", "com"]), min_size=1, max_size=4).map(
    ".".join
)
PORTS = st.sampled_from(["", ":8443"])
EXACT = st.builds("https://{}{}".format, HOSTS, PORTS)
PATTERNS = st.one_of(st.just("*"), EXACT, st.builds("https://*.{}{}".format, HOSTS, PORTS))


@given(
    first=st.lists(PATTERNS, min_size=1, max_size=3),
    second=st.lists(PATTERNS, min_size=1, max_size=3),
    origin=EXACT,
)
def test_the_common_origins_allow_exactly_what_both_lists_allow(
    first: list[str], second: list[str], origin: str
) -> None:
    """For any page: not one more, and not one less."""

    def allows(patterns: tuple[str, ...] | list[str]) -> bool:
        return any(is_covered(origin, pattern) for pattern in patterns)

    assert allows(common(first, second)) == (allows(first) and allows(second))


def test_common_origins_are_listed_once() -> None:
    """In the order of the first list, then of the second."""
    assert common(("https://a.b.c", "https://*.b.c"), ("https://*.b.c", "https://a.b.c")) == (
        "https://a.b.c",
        "https://*.b.c",
    )
    assert common(("https://a.b",), ("https://c.d",)) == ()


@pytest.mark.parametrize(
    "origin",
    [
        "https://*",
        "https://*com",
        "https://*example.com",
        "https://*.com",
        "https://*.com.",
        "http://*co.uk:8080",
    ],
)
def test_an_origin_that_matches_sites_of_others_is_a_mistake(origin: str) -> None:
    """The sentence names it."""
    assert origin in mistake_in(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*.example.com",
        "https://example.com",
        "http://localhost:3000",
        "https://[::1]",
        "http://*.localhost:3000",
        "https://*.Corp",
        "https://*.internal:8443",
        "https://intranet",
    ],
)
def test_an_origin_that_names_a_domain_is_none(origin: str) -> None:
    """Nor is the one that plainly allows all."""
    assert mistake_in(origin) == ""
