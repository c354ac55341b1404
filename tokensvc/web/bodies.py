"""Request bodies: read as strict JSON, then checked against a form, all problems at once."""

from __future__ import annotations

import json
from typing import TypeVar

from flask import Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tokensvc import strict_json
from tokensvc.errors import BodyTooLarge, InvalidRequest, Problem, UnsupportedMediaType

T = TypeVar("T")


def read_json(request: Request, *, longest_bytes: int) -> object:
    """The JSON value in the request's body.

    Raises:
        UnsupportedMediaType: when its Content-Type is not application/json.
        BodyTooLarge: when it has more bytes; it is read no further.
        InvalidRequest: when it is not strict JSON.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(
            "The body is not JSON by its Content-Type.",
            hint="Send `Content-Type: application/json`.",
        )
    too_large = BodyTooLarge(
        f"This route takes bodies of at most {longest_bytes} bytes.",
        hint="Ask for less at once.",
    )
    if (request.content_length or 0) > longest_bytes:
        raise too_large
    # A chunked body announces no length: Werkzeug reads it up to here and tells no one of the rest.
    request.max_content_length = longest_bytes + 1
    body = request.get_data(cache=False)
    if len(body) > longest_bytes:
        raise too_large
    try:
        return strict_json.loads(body)
    except ValueError as exc:
        message = "The body is not JSON in UTF-8 with each member name once."
        raise InvalidRequest(message, problems=(Problem("", "json", message),)) from exc


def checked(form: TypeAdapter[T], value: object) -> T:
    """The value as that form.

    Raises:
        InvalidRequest: with a problem for every member that is missing, wrong or unknown.
    """
    # As text once more: only of JSON does a strict form take objects, arrays and enumerations.
    try:
        return form.validate_json(json.dumps(value))
    except RecursionError as exc:
        message = "The body is nested too deep."
        raise InvalidRequest(message, problems=(Problem("", "json", message),)) from exc
    except ValidationError as exc:
        problems = tuple(
            _problem(error)
            for error in exc.errors(include_url=False, include_context=False, include_input=False)
        )
        raise InvalidRequest(
            " ".join(problem.message for problem in problems), problems=problems
        ) from None  # The validation error quotes its input, which may be a secret sent by mistake.


def _problem(error: ErrorDetails) -> Problem:
    field = ".".join(str(part) for part in error["loc"])
    where = field or "The body"
    match error["type"]:
        case "missing":
            return Problem(field, "required", f"{field} is required.")
        case "unexpected_keyword_argument":
            return Problem(field, "unknown_field", f"There is no field {field!r}.")
        case "dataclass_type" | "dataclass_exact_type":
            return Problem(field, "json_object", f"{where} must be a JSON object.")
        case rule:
            return Problem(field, rule, f"{where}: {error['msg']}.")
