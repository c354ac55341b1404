"""What the server itself refuses, before the application sees the request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from tokensvc import errors
from tokensvc.errors import TokensvcError
from tokensvc.web import headers, problems
from tokensvc.web.http1 import FieldParser, Response

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


def refusal(status: HTTPStatus, request_id: str) -> tuple[Response, int]:
    """The response with that status, and the number of bytes of its body: a problem document."""
    body = json.dumps(problems.document(_REFUSALS[status], request_id)).encode()
    fields = [
        ("Content-Type", problems.MEDIA_TYPE),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        (headers.REQUEST_ID_HEADER, request_id),
    ]
    return Response(status, fields, [body]), len(body)


def request_id_of_refused(parser: FieldParser) -> str:
    """The ID of a request that was read so far: the client's if it is valid, or a new one."""
    read = dict(parser.headers or parser.read_so_far())
    offered = read.get(b"x-request-id", b"").decode("latin-1")
    return headers.request_id_of({"HTTP_X_REQUEST_ID": offered})
