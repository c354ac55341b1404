"""URLs that IVS refuses, for the page's panel "What IVS refuses". No application needs them.

A page can drop or alter the token of a URL by itself. The URLs of this module need the backend: two
need the API key, and one needs a private key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from demo.refusals import refusal

RequestUrl = Callable[..., Mapping[str, Any]]
"""Requests a playback URL for the channel, with these members of the request instead."""


class Fault(StrEnum):
    """Why IVS refuses the URL."""

    EXPIRED = "expired"
    OTHER_CHANNEL = "other-channel"
    UNKNOWN_KEY = "unknown-key"


def refused_url(fault: Fault, request_url: RequestUrl, other_channel: str) -> str:
    """Return the channel's URL with a token that has this fault and no other.

    Raises:
        Refusal: tokensvc refused a request, or the other channel is public.
    """
    match fault:
        case Fault.EXPIRED:
            return _expired_url(request_url)
        case Fault.OTHER_CHANNEL:
            return _url_with_token_of(other_channel, request_url)
        case Fault.UNKNOWN_KEY:
            return _url_signed_by_unknown_key(request_url)


def _expired_url(request_url: RequestUrl) -> str:
    """A URL that was valid for one second, after that second."""
    url: str = request_url(ttl_seconds=1)["playback_url"]
    time.sleep(max(0.0, _payload(_token_in(url))["exp"] - time.time()))
    return url


def _url_with_token_of(other_channel: str, request_url: RequestUrl) -> str:
    token = request_url(channel=other_channel)["token"]
    if token is None:
        raise refusal(
            HTTPStatus.CONFLICT,
            "channel_not_private",
            f"The channel {other_channel} is public, so it has no tokens.",
            hint=f"Make it private: run `tokensvc channels protect {other_channel}`.",
        )
    return _with_token(request_url()["playback_url"], token)


def _url_signed_by_unknown_key(request_url: RequestUrl) -> str:
    """The claims of a valid token, signed by a key pair that was never imported into IVS."""
    url = request_url()["playback_url"]
    unknown_key = ec.generate_private_key(ec.SECP384R1())
    return _with_token(url, jwt.encode(_payload(_token_in(url)), unknown_key, "ES384"))


def _token_in(playback_url: str) -> str:
    return parse_qs(urlsplit(playback_url).query)["token"][0]


def _payload(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def _with_token(playback_url: str, token: str) -> str:
    parts = urlsplit(playback_url)
    query = urlencode(parse_qs(parts.query) | {"token": [token]}, doseq=True)
    return parts._replace(query=query).geturl()
