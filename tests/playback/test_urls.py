from __future__ import annotations

from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.playback.urls import with_token


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/b.m3u8", "https://a.example/b.m3u8?token=x.y.z"),
        ("https://a.example/b.m3u8?", "https://a.example/b.m3u8?token=x.y.z"),
        ("https://a.example/b.m3u8?p=1&q=", "https://a.example/b.m3u8?p=1&q=&token=x.y.z"),
        ("https://a.example/b.m3u8?token=old", "https://a.example/b.m3u8?token=x.y.z"),
        (
            "https://a.example/b.m3u8?token=1&p=2&token=3",
            "https://a.example/b.m3u8?p=2&token=x.y.z",
        ),
        ("http://127.0.0.1:8001/a%20b.m3u8", "http://127.0.0.1:8001/a%20b.m3u8?token=x.y.z"),
        ("https://a.example/b.m3u8#t", "https://a.example/b.m3u8?token=x.y.z#t"),
    ],
)
def test_the_url_gets_exactly_one_token(url: str, expected: str) -> None:
    """The rest of IVS's URL does not change."""
    assert with_token(url, "x.y.z") == expected


@given(query=st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=4))
def test_the_rest_of_the_query_does_not_change(query: list[tuple[str, str]]) -> None:
    """Names and values stay the same; the token is there once, at the end."""
    encoded = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    result = urlsplit(with_token(f"https://a.example/b.m3u8?{encoded}", "x.y.z"))
    assert parse_qs(result.query)["token"] == ["x.y.z"]
    others = [pair for pair in query if pair[0] != "token"]
    assert parse_qsl(result.query, keep_blank_values=True) == [*others, ("token", "x.y.z")]
    assert (result.netloc, result.path) == ("a.example", "/b.m3u8")
