"""Request bodies: parse strict JSON, then validate it and report all problems at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from tokensvc.errors import BodyTooLarge, InvalidRequest, Problem, UnsupportedMediaType
from tokensvc.token import strict_json

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

T = TypeVar("T")

# The sentence for each of pydantic's error types. pydantic's own messages are never shown to a
# client, because they use the words of Python. {field} is the path of the field, or "The body"; the
# other names are in the context of pydantic's error.
SENTENCES: Final[Mapping[str, str]] = {
    "missing": "{field} is required.",
    "unexpected_keyword_argument": "{field!r} is not a field of this request.",
    "dataclass_type": "{field} must be a JSON object.",
    "string_type": "{field} must be a string.",
    "string_too_short": "{field} must have {min_length} or more characters.",
    "string_too_long": "{field} must have at most {max_length} characters.",
    "int_type": "{field} must be an integer.",
    "greater_than_equal": "{field} must be {ge} or more.",
    "bool_type": "{field} must be true or false.",
    "enum": "{field} must be one of: {expected}.",
    "list_type": "{field} must be a list.",
    "tuple_type": "{field} must be a list.",
    "too_short": "{field} must have {min_length} or more items.",
    "too_long": "{field} must have at most {max_length} items.",
}
_ANY_OTHER: Final = "{field} is not valid."
# The rule identifiers that differ from pydantic's error type.
_RULES: Final[Mapping[str, str]] = {
    "missing": "required",
    "unexpected_keyword_argument": "unknown_field",
    "dataclass_type": "json_object",
}
_QUOTED = re.compile(r"'([^']*)'")


def read_json(environ: WSGIEnvironment, *, longest_bytes: int) -> object:
    """The JSON value in the body of the request.

    Raises:
        UnsupportedMediaType: when the Content-Type is not application/json.
        BodyTooLarge: when the body has more than `longest_bytes`; the rest is not read.
        InvalidRequest: when the body is not strict JSON.
    """
    media_type, _, _ = environ.get("CONTENT_TYPE", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType(
            "The Content-Type of the request is not application/json.",
            hint="Send `Content-Type: application/json`.",
        )
    too_large = BodyTooLarge(
        f"The body has more than {longest_bytes} bytes, the limit of this route.",
        hint="Send a smaller body: split a large batch into several.",
    )
    try:
        # A chunked body has no Content-Length, and is cut off at the limit without an error.
        body = get_input_stream(environ, max_content_length=longest_bytes + 1).read()
    except RequestEntityTooLarge as exc:
        raise too_large from exc
    if len(body) > longest_bytes:
        raise too_large
    try:
        return strict_json.loads(body)
    except ValueError as exc:
        message = "The body is not valid JSON in UTF-8, or a member name is repeated."
        raise InvalidRequest(message, problems=(Problem("", "json", message),)) from exc


def validate(form: TypeAdapter[T], value: object) -> T:
    """The value, as an instance of the form's type.

    Raises:
        InvalidRequest: with a problem for every member that is missing, wrong or unknown.
    """
    try:
        return form.validate_python(value)
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
        problems = tuple(_problem(error) for error in errors)
        raise InvalidRequest(
            " ".join(problem.message for problem in problems), problems=problems
        ) from None  # The validation error quotes its input, which may be a secret sent by mistake.


def _problem(error: ErrorDetails) -> Problem:
    kind = error["type"]
    field = ".".join(str(part) for part in error["loc"])
    return Problem(field, _RULES.get(kind, kind), _sentence(error, field))


def _sentence(error: ErrorDetails, field: str) -> str:
    values: dict[str, Any] = {
        **error.get("ctx", {}),
        "field": field if error["loc"] else "The body",
    }
    if "expected" in values:
        # pydantic gives the allowed values as a phrase: "'SD', 'HD' or 'FULL_HD'".
        values["expected"] = ", ".join(_QUOTED.findall(values["expected"]))
    return SENTENCES.get(error["type"], _ANY_OTHER).format_map(values)
