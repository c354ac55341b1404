from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_ivs.edge.origins import OriginRule, matches

HOST_PARTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("item", "origin"),
    [
        ("*", "https://a.example"),
        ("*", "null"),
        ("https://a.example", "https://a.example"),
        ("HTTPS://A.example", "https://a.EXAMPLE"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("https://*.amazon.com", "https://b.amazon.com"),
        ("https://*.amazon.com", "https://a.b.amazon.com"),
        ("https://*amazon.com", "https://myamazon.com"),
        ("https://*", "https://anything.example"),
        ("http://*:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("https://under_score.example", "https://under_score.example"),
    ],
)
def test_an_item_matches_an_origin(item: str, origin: str) -> None:
    """Exactly or by a leading star. Case is ignored."""
    assert matches(item, origin)


@pytest.mark.parametrize(
    ("item", "origin"),
    [
        ("https://a.example", "http://a.example"),
        ("https://a.example", "https://a.example:443"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example", "https://b.a.example"),
        ("https://*.amazon.com", "https://amazon.com"),
        ("https://*.amazon.com", "https://.amazon.com"),
        ("https://*.amazon.com", "https://evil.example/.amazon.com"),
        ("https://*.amazon.com", "https://a.amazon.com.evil.example"),
        ("https://*.amazon.com", "https://a.amazon.com:8443"),
        ("https://a.example", "https://aXexample"),
        ("https://*", "https://a.example:3000"),
        ("https://a.*.example", "https://a.b.example"),
        ("https://a.example/path", "https://a.example/path"),
        ("https://a.example/", "https://a.example/"),
        ("https://user@a.example", "https://user@a.example"),
        (" https://a.example", "https://a.example"),
        ("https://a.example:65536", "https://a.example:65536"),
        ("https://a.example:080", "https://a.example:080"),
        ("a.example", "a.example"),
        ("null", "null"),
        ("", ""),
    ],
)
def test_an_item_does_not_match_other_origins(item: str, origin: str) -> None:
    """An item that is not an origin matches nothing, not even itself."""
    assert not matches(item, origin)


@given(st.lists(HOST_PARTS, min_size=1, max_size=3), HOST_PARTS)
def test_a_leading_star_matches_one_host_part_or_more(parts: list[str], domain: str) -> None:
    """Any depth of subdomains, but never the domain itself."""
    origin = f"https://{'.'.join(parts)}.{domain}.example"
    assert matches(f"https://*.{domain}.example", origin)
    assert not matches(f"https://*.{'.'.join(parts)}.{domain}.example", origin)


@given(st.text(), st.text())
def test_any_two_texts_are_compared_without_an_exception(item: str, origin: str) -> None:
    """Of the items without a scheme, only `*` matches anything."""
    assert not matches(item, origin) or item == "*" or "://" in item


ITEMS = "https://a.example,https://*.b.example"


@pytest.mark.parametrize(
    ("rule", "origin", "permitted"),
    [
        (OriginRule(), None, {"playlist", "session"}),
        (OriginRule(), "https://x.example", {"playlist", "session"}),
        (OriginRule(ITEMS), None, {"playlist", "session"}),
        (OriginRule(ITEMS), "https://x.b.example", {"playlist", "session"}),
        (OriginRule(ITEMS), "https://x.example", {"session"}),
        (OriginRule(ITEMS, strict=True), None, set()),
        (OriginRule(ITEMS, strict=True), "https://a.example", {"playlist", "session"}),
        (OriginRule(ITEMS, strict=True), "https://x.example", set()),
        (OriginRule(None, strict=True), None, {"playlist", "session"}),
        (OriginRule(None, strict=True), "https://x.example", {"playlist", "session"}),
    ],
)
def test_a_rule_applies_to_the_playlist_and_if_strict_to_the_session(
    rule: OriginRule, origin: str | None, permitted: set[str]
) -> None:
    """A strict rule requires the header, another one doesn't. Without a claim all may play."""
    assert rule.permits(origin) is ("playlist" in permitted)
    assert rule.permits_in_session(origin) is ("session" in permitted)
