"""Paging of listings; a page token is valid only for the query that returned it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from local_ivs.errors import ValidationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from local_ivs.calls import Call

_DIGEST_BYTES = 16
_POSITION_BYTES = 7  # Even a forged token stays within the 63 bits of SQLite's integers.
# The members that may differ between the requests for two pages of the same listing.
_PAGING_MEMBERS = frozenset({"nextToken", "maxResults"})


def page(
    call: Call,
    request: Mapping[str, Any],
    rows_after: Callable[[int, int], list[sqlite3.Row]],
    *,
    default_size: int,
) -> tuple[list[sqlite3.Row], str | None]:
    """The rows of the requested page, and the token of the next page (None after the last page).

    Args:
        call: The call; a token is valid only for its operation, account and region.
        request: The members of the request. `maxResults` and `nextToken` select the page, all
            others select the listing.
        rows_after: `rows_after(position, count)` returns at most `count` rows with a higher
            `position`, ordered by position.
        default_size: The page size when `maxResults` is absent.

    Raises:
        ValidationError: the token doesn't belong to this listing.
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
    members = {name: value for name, value in request.items() if name not in _PAGING_MEMBERS}
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
            "nextToken does not belong to this listing: use the same filters as in the request "
            "that returned it, or start again without nextToken"
        )
    return int.from_bytes(contents[_DIGEST_BYTES:])
