"""Problem documents: every refusal on every route is `application/problem+json` (RFC 9457).

    type        urn:problem-type:tokensvc:<code>
    title       the kind of error; always the same for the same code
    status      the HTTP status
    code        the stable identifier that programs should branch on
    detail      what is wrong with this request
    hint        what to do next, where the client can do something
    errors      [{field, rule, message}], where fields are wrong; at most 20
    errors_omitted        how many more there are, if any
    retry_after_seconds   where a retry can succeed; the same as in Retry-After
    request_id  the ID of the request in the log of the service

For an error of the service (5xx) the client gets a fixed sentence for its code, because the error's
own text may name a path or a permission; that text is in the log. A damaged state or private key
is unavailable to a client. Every other error that a retry does not fix is `internal_error`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from flask import Flask, Response, json
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from tokensvc import errors
from tokensvc.errors import TokensvcError, Unavailable
from tokensvc.web import headers

MEDIA_TYPE = "application/problem+json"
_FIRST_SERVER_ERROR = 500
MAX_ERRORS: Final = 20
"""More errors than a person reads, and few enough that a small body can't cause a large answer."""

PUBLIC_SENTENCES: Final[Mapping[str, str]] = {
    Unavailable.code: "The service could not start this request in time.",
    errors.NoSigningKey.code: "The region has no key pair that may sign right now.",
    errors.CustodyUnavailable.code: "The service can't use its private key right now.",
    errors.CustodyDamaged.code: "A private key of the service is damaged or missing.",
    errors.CustodyUnusable.code: "A private key of the service is disabled.",
    errors.IvsUnavailable.code: "The service can't get the channel from Amazon IVS right now.",
    errors.IssuerUnavailable.code: "The service can't get the keys of the issuer right now.",
    errors.StateUnavailable.code: "The service can't read its shared state right now.",
    errors.SchemaUnsupported.code: "This process of the service is older than its shared state.",
    errors.ClockOff.code: "The clock of the service is off, so it can't sign right now.",
    errors.AuditUnavailable.code: "The service can't write its audit log right now.",
    errors.EntitlementUnavailable.code: "The entitlement hook does not answer right now.",
    errors.Draining.code: "The service is stopping.",
    errors.StateDamaged.code: "The shared state of the service is damaged.",
}
"""What anyone may read about an error of the service, by its code."""
_INTERNAL_ERROR: Final = "The service failed because of an internal error."
_RETRY_HINT: Final = (
    "Try again after `retry_after_seconds`. If the error persists, report the `request_id` to an"
    " operator of the service."
)

_log = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Answer every exception that a route or Flask raises with a problem document."""
    app.register_error_handler(Exception, _handle_exception)


def public_error(raised: Exception, request_id: str) -> TokensvcError:
    """The error that the client gets for that exception; an error of the service is logged."""
    error = _convert(raised)
    if error.http_status >= _FIRST_SERVER_ERROR:
        # A temporary error comes with every request while it lasts, so one line for each suffices.
        is_temporary = isinstance(error, Unavailable)
        _log.log(
            logging.WARNING if is_temporary else logging.ERROR,
            "Request %s failed with %s: %s",
            request_id,
            error.code,
            raised,
            exc_info=None if is_temporary else raised,
        )
    return error


def overloaded() -> TokensvcError:
    """The error that a client gets whose request waited for too long; it is not logged."""
    return _convert(Unavailable("Too many requests are waiting."))


def public_sentence(error: TokensvcError) -> str:
    """What anyone may read about an error of the service."""
    return PUBLIC_SENTENCES.get(error.code, _INTERNAL_ERROR)


def unavailable_class(error: TokensvcError) -> type[Unavailable] | None:
    """The class of the error that a client gets: for damage, that of the part which is damaged.

    An operator may repair it at any time, so a client may try again. None for other errors.
    """
    match error:
        case Unavailable():
            return type(error)
        case errors.CustodyDamaged():
            return errors.CustodyUnavailable
        case errors.StateDamaged():
            return errors.StateUnavailable
        case _:
            return None


def document(error: TokensvcError, request_id: str) -> dict[str, object]:
    """The problem document for that error of that request."""
    return members_of(error) | {"request_id": request_id}


def members_of(error: TokensvcError) -> dict[str, object]:
    """The members of the problem document that don't depend on the request."""
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
        members["errors"] = [problem.members() for problem in error.problems[:MAX_ERRORS]]
    if len(error.problems) > MAX_ERRORS:
        members["errors_omitted"] = len(error.problems) - MAX_ERRORS
    if error.retry_after_seconds is not None:
        members["retry_after_seconds"] = error.retry_after_seconds
    return members


def response(error: TokensvcError, **more: object) -> Response:
    """The whole response; `more` holds extra members of the document (RFC 9457 §3.2)."""
    return Response(
        json.dumps(document(error, headers.request_id()) | more),
        status=error.http_status,
        content_type=MEDIA_TYPE,
        headers=headers_of(error),
    )


def headers_of(error: TokensvcError) -> dict[str, str]:
    """The headers that belong to the problem document."""
    result = {"Cache-Control": "no-store"}
    if error.retry_after_seconds is not None:
        result["Retry-After"] = str(error.retry_after_seconds)
    if isinstance(error, errors.Unauthenticated):
        result["WWW-Authenticate"] = _challenge(error)
    return result


def _challenge(error: errors.Unauthenticated) -> str:
    """The value of WWW-Authenticate (RFC 6750 §3)."""
    challenge = 'Bearer realm="tokensvc"'
    return f'{challenge}, error="invalid_token"' if error.has_credentials else challenge


def _handle_exception(raised: Exception) -> Response:
    answer = response(public_error(raised, headers.request_id()))
    if isinstance(raised, MethodNotAllowed) and raised.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(raised.valid_methods))
    return answer


def _convert(raised: Exception) -> TokensvcError:
    if isinstance(raised, HTTPException):
        return _from_http_exception(raised)
    if not isinstance(raised, TokensvcError):
        return _internal_error()
    if raised.http_status < _FIRST_SERVER_ERROR:
        return raised
    error_class = unavailable_class(raised)
    if error_class is None:
        return _internal_error()
    return error_class(
        PUBLIC_SENTENCES[error_class.code],
        hint=_RETRY_HINT,
        retry_after_seconds=raised.retry_after_seconds,
    )


def _from_http_exception(raised: HTTPException) -> TokensvcError:
    """Our error for an exception of Flask or Werkzeug, whose own text is for browsers."""
    match raised.code:
        case 400 | 416:  # 416: a range beyond the end of a file.
            return errors.InvalidRequest(
                "A header of the request, or the length of its body, is not valid.",
                hint="Check the headers of the request, such as Content-Length and Range.",
            )
        case 404:
            return errors.NotFound(
                "No route has this path.",
                hint="Check the path. The documentation of the HTTP API lists all routes.",
            )
        case 405:
            return errors.MethodNotAllowed(
                "This route does not support the HTTP method.",
                hint="Use a method that the header Allow lists.",
            )
        case 413:
            return errors.BodyTooLarge(
                "The body is larger than the limit of this route.", hint="Send a smaller body."
            )
        case 415:
            return errors.UnsupportedMediaType(
                "This route does not support the Content-Type of the body.",
                hint="Send `Content-Type: application/json`.",
            )
        case _:
            return _internal_error()


def _internal_error() -> TokensvcError:
    return TokensvcError(
        _INTERNAL_ERROR,
        hint="Report the `request_id` to an operator of the service: the log has the details.",
    )
