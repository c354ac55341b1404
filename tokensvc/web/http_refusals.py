"""What the server itself refuses, before the application sees the request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from tokensvc import errors
from tokensvc.errors import TokensvcError
from tokensvc.web import problems
from tokensvc.web.http1 import Response

_REFUSALS: Final[Mapping[int, TokensvcError]] = {
    error.http_status: error
    for error in (
        errors.InvalidRequest("The request is not valid HTTP."),
        errors.RequestTimeout("The request was not complete in time."),
        errors.BodyTooLarge(
            "The body is sent in too many small chunks.", hint="Send it with a Content-Length."
        ),
        errors.UriTooLong("The request line is too long.", hint="Send values in the body."),
        errors.HeadersTooLarge("The header fields are too long or too many."),
        errors.TransferCodingUnknown("The transfer coding is not supported."),
        TokensvcError("The service failed because of an internal error."),
    )
}


def refusal(status: HTTPStatus) -> tuple[Response, int]:
    """The response with that status, and the number of bytes of its body: a problem document."""
    body = json.dumps(problems.members_of(_REFUSALS[status])).encode()
    headers = [
        ("Content-Type", problems.MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
    ]
    return Response(status, headers, [body]), len(body)
