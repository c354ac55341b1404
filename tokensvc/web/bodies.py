"""Request bodies: parse strict JSON, then check it against a form and report the problems.

What a body may cost is bounded: its bytes, its members, and the length of what is said about it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from tokensvc.errors import BodyTooLarge, InvalidRequest, Problem, UnsupportedMediaType
from tokensvc.token import strict_json

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from _typeshed.wsgi import WSGIEnvironment

T = TypeVar("T", bound="DataclassInstance")

WHOLE_BODY: Final = "tokensvc.body"
"""The environ key with the body, if it has been read already."""

MAX_MEMBERS: Final = 40
"""No form has as many. An object with more is refused before any of them is checked."""
MAX_OPENING_BRACKETS: Final = 20_000
"""More than a whole batch has, with IPv6 origins. A parser needs long for many small values."""
_SHOWN_MESSAGES: Final = 3
_SHOWN_CHARACTERS: Final = 80

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
    "less_than_equal": "{field} must be {le} or less.",
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
        InvalidRequest: when the body is not strict JSON, or has too many values.
    """
    media_type, _, _ = environ.get("CONTENT_TYPE", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType(
            "The Content-Type of the request is not application/json.",
            hint="Send `Content-Type: application/json`.",
        )
    body = _read_body(environ, longest_bytes)
    if body.count(b"[") + body.count(b"{") > MAX_OPENING_BRACKETS:
        message = f"The body has more than {MAX_OPENING_BRACKETS} opening brackets."
        raise InvalidRequest(message, problems=(Problem("", "too_many_values", message),))
    try:
        return strict_json.loads(body)
    except ValueError as exc:
        message = (
            "The body is not valid JSON in UTF-8, repeats a member name, or has more than"
            f" {strict_json.MAX_DEPTH} levels."
        )
        raise InvalidRequest(message, problems=(Problem("", "json", message),)) from exc


def _read_body(environ: WSGIEnvironment, longest_bytes: int) -> bytes:
    body: bytes | None = environ.get(WHOLE_BODY)
    try:
        if body is None:
            # A chunked body has no Content-Length, and is cut off at the limit without an error.
            body = get_input_stream(environ, max_content_length=longest_bytes + 1).read()
        if len(body) <= longest_bytes:
            return body
    except RequestEntityTooLarge:
        pass
    raise BodyTooLarge(
        f"The body has more than {longest_bytes} bytes, the limit of this route.",
        hint="Send a smaller body: split a large batch into several.",
    )


class Form(Generic[T]):
    """A kind of request body: a dataclass, whose fields are the members of a JSON object.

    pydantic checks names, types and sizes. Null means that an optional member is absent.
    """

    def __init__(self, body: type[T]) -> None:
        self.adapter = TypeAdapter(body)
        self._optional = frozenset(
            field.name
            for field in dataclasses.fields(body)
            if field.default is not dataclasses.MISSING
        )

    def read(self, value: object) -> T:
        """The parsed JSON value, as a body of this form.

        Raises:
            InvalidRequest: with a problem for every member that is missing, wrong or unknown. Of a
                list, it has the first wrong item only.
        """
        if isinstance(value, dict):
            if len(value) > MAX_MEMBERS:
                raise _too_many_members(len(value))
            if None in value.values():
                value = self._without_absent(value)
        try:
            return self.adapter.validate_python(value)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False)
        # Outside of the handler: the validation error quotes its input, which may be a secret.
        raise _refusal(tuple(_problem(error) for error in errors))

    def _without_absent(self, members: dict[str, object]) -> dict[str, object]:
        return {
            name: value
            for name, value in members.items()
            if value is not None or name not in self._optional
        }


def _too_many_members(number: int) -> InvalidRequest:
    return _refusal(
        (
            Problem(
                "", "too_many_members", f"The body has {number} members. No request has so many."
            ),
        )
    )


def _refusal(problems: tuple[Problem, ...]) -> InvalidRequest:
    messages = [problem.message for problem in problems[:_SHOWN_MESSAGES]]
    if len(problems) > _SHOWN_MESSAGES:
        messages.append("The other problems are in `errors`.")
    return InvalidRequest(" ".join(messages), problems=problems)


def _problem(error: ErrorDetails) -> Problem:
    kind = error["type"]
    field = _shorten(".".join(str(part) for part in error["loc"]))
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


def _shorten(text: str) -> str:
    """A member name may be as long as the body."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
