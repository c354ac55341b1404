"""Refusals on the wire: one shape on every route, `application/problem+json` (RFC 9457).

    type        urn:problem-type:tokensvc:<code>
    title       what kind of refusal it is; the same for the same code
    status      the HTTP status
    code        stable, to be branched on
    detail      what is wrong here
    way_out     what the reader can do about it, where there is something
    errors      [{field, rule, message}], where fields are wrong
    retry_after_seconds   where waiting helps, as in Retry-After
    request_id  what the service's log calls the request

What the service is to blame for (5xx) is told by its kind alone: the log says the rest, which may
be a path or a permission. What waiting does not cure is `internal_error`.
"""

from __future__ import annotations

import logging

from flask import Flask, Response, json
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from tokensvc import errors
from tokensvc.errors import TokensvcError, Unavailable
from tokensvc.web.headers import request_id

MEDIA_TYPE = "application/problem+json"
_FIRST_SERVER_ERROR = 500

_log = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Answer whatever is raised in the app, by a route or by Flask, with a problem document."""
    app.register_error_handler(Exception, _answer)


def public_error(raised: Exception) -> TokensvcError:
    """What the caller is told of that exception; what the service is to blame for is logged."""
    error = _as_ours(raised)
    if error.http_status >= _FIRST_SERVER_ERROR:
        # What passes by itself comes with every request while it lasts: a line each is enough.
        passes = isinstance(error, Unavailable)
        _log.log(
            logging.WARNING if passes else logging.ERROR,
            "Request %s was answered with %s: %s",
            request_id(),
            error.code,
            raised,
            exc_info=None if passes else raised,
        )
    return error


def document(error: TokensvcError) -> dict[str, object]:
    """The members of the problem document."""
    members: dict[str, object] = {
        "type": f"urn:problem-type:tokensvc:{error.code}",
        "title": error.title,
        "status": error.http_status,
        "code": error.code,
        "detail": error.detail,
    }
    if error.hint:
        members["hint"] = error.hint
    if error.problems:
        members["errors"] = [problem.members() for problem in error.problems]
    if error.retry_after_seconds is not None:
        members["retry_after_seconds"] = error.retry_after_seconds
    return members | {"request_id": request_id()}


def response(error: TokensvcError, **more: object) -> Response:
    """The whole answer; `more` are further members of the document (RFC 9457 §3.2)."""
    answer = Response(
        json.dumps(document(error) | more), status=error.http_status, content_type=MEDIA_TYPE
    )
    answer.headers["Cache-Control"] = "no-store"
    if error.retry_after_seconds is not None:
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.Unauthenticated):
        answer.headers["WWW-Authenticate"] = 'Bearer realm="tokensvc"'  # RFC 6750 §3
    return answer


def _answer(raised: Exception) -> Response:
    answer = response(public_error(raised))
    if isinstance(raised, MethodNotAllowed) and raised.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(raised.valid_methods))
    return answer


def _as_ours(raised: Exception) -> TokensvcError:
    if isinstance(raised, HTTPException):
        return _of_flask(raised)
    if isinstance(raised, Unavailable):
        return type(raised)(
            f"{raised.title}.",
            hint="Try again after the seconds in Retry-After. If it stays so, tell an operator "
            "the request ID.",
            retry_after_seconds=raised.retry_after_seconds,
        )
    if isinstance(raised, TokensvcError) and raised.http_status < _FIRST_SERVER_ERROR:
        return raised
    return _internal_error()


def _of_flask(raised: HTTPException) -> TokensvcError:
    """Ours for what Flask itself refuses; its own words are for browsers."""
    match raised.code:
        case 400 | 416:  # 416: a range that the player page's file has not.
            return errors.InvalidRequest("The request is wrong as HTTP, in a header or its length.")
        case 404:
            return errors.NotFound("There is no route at this path.")
        case 405:
            return errors.MethodNotAllowed(
                "The route does not serve this method.", hint="The header Allow lists others."
            )
        case 413:
            return errors.BodyTooLarge("The body is larger than this route takes.")
        case 415:
            return errors.UnsupportedMediaType("This route does not take such a body.")
        case _:
            return _internal_error()


def _internal_error() -> TokensvcError:
    return TokensvcError(
        "The service met a fault of its own.",
        hint="Tell an operator the request ID: the log says more.",
    )
