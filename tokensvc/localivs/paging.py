"""Listings, page by page, with tokens that are good for the very query that gave them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from tokensvc.localivs.errors import ValidationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from tokensvc.localivs.calls import Call

_DIGEST_BYTES = 16
_POSITION_BYTES = 7  # Always within SQLite's integers of 63 bits, whoever made the token.
# What may differ between two requests for pages of one listing.
_MEMBERS_OF_THE_PAGE = frozenset({"nextToken", "maxResults"})


def page(
    call: Call,
    request: Mapping[str, Any],
    rows_after: Callable[[int, int], list[sqlite3.Row]],
    *,
    default_size: int,
) -> tuple[list[sqlite3.Row], str | None]:
    """The rows of the page that `request` asks for, and the next page's token, if there is one.

    Args:
        call: The call, whose operation, account and region the token is bound to.
        request: Its members; `maxResults` and `nextToken` choose the page, the rest the listing.
        rows_after: Gives rows with a higher `position` than the first number, in order of
            position, and at most as many as the second number.
        default_size: The page's size when `maxResults` is absent.

    Raises:
        ValidationError: the token isn't one of this listing's.
    """
    size = request.get("maxResults", default_size)
    query = _digest(call, request)
    token = request.get("nextToken")
    position = _position(token, query) if token else 0
    rows = rows_after(position, size + 1)
    if len(rows) <= size:
        return rows, None
    rows = rows[:size]
    return rows, _token(rows[-1]["position"], query)


def _digest(call: Call, request: Mapping[str, Any]) -> bytes:
    members = {name: value for name, value in request.items() if name not in _MEMBERS_OF_THE_PAGE}
    query = [call.operation, call.caller.region, call.caller.account_id, members]
    text = json.dumps(query, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]


def _token(position: int, query: bytes) -> str:
    return base64.urlsafe_b64encode(query + position.to_bytes(_POSITION_BYTES)).decode()


def _position(token: str, query: bytes) -> int:
    try:
        contents = base64.b64decode(token, altchars=b"-_", validate=True)
    except binascii.Error:
        contents = b""
    if len(contents) != _DIGEST_BYTES + _POSITION_BYTES or not contents.startswith(query):
        raise ValidationError(
            "nextToken is none of this listing's: repeat the request that gave it with the same "
            "filters, or begin again without it"
        )
    return int.from_bytes(contents[_DIGEST_BYTES:])
