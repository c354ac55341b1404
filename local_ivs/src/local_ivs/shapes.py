"""Validates and serializes JSON by the shapes of the service model.

As in the restJson1 protocol, a wrong JSON type is a SerializationException and a violated
constraint is a ValidationException. Null members of a structure are treated as absent. Unknown
members are ignored.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, StructureShape

from local_ivs.errors import SerializationError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

# The model's pattern for ResourceArn lacks a `+` (`:[a-z-]/`), so it doesn't match any real ARN.
SHAPES_WITH_BROKEN_PATTERN = frozenset({"ResourceArn"})
INTEGER_BITS = {"integer": 32, "long": 64}
# Python's `re` has no Unicode categories. `\w` matches letters, numbers and the underscore; every
# character class of the model that contains \p{L} and \p{N} allows the underscore too.
PYTHON_FOR_CATEGORIES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


def validate(shape: Shape, value: Any) -> Any:
    """`value`, validated against the model, without unknown and null members.

    Raises:
        SerializationError: a value has a JSON type that the model doesn't allow.
        ValidationError: constraints of the model are violated; the message lists all of them.
    """
    typed = _typed(shape, value, "")
    problems = list(_broken_constraints(shape, typed, ""))
    if problems:
        raise ValidationError("; ".join(problems))
    return typed


def serialize(shape: Shape, value: Any) -> Any:
    """`value` as JSON data with only the members of `shape`; `value` has times as Unix seconds."""
    match shape:
        case StructureShape():
            return {
                name: serialize(member, value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case ListShape():
            return [serialize(shape.member, item) for item in value]
        case _ if shape.type_name == "timestamp":
            time = datetime.fromtimestamp(value, UTC)
            return time.isoformat(timespec="seconds").replace("+00:00", "Z")
        case _:
            return value


def query_values(shape: StructureShape, query: Mapping[str, list[str]]) -> dict[str, Any]:
    """The members of `shape` that are in the query string, as JSON data."""
    values: dict[str, Any] = {}
    for name, member in shape.members.items():
        wire_name = member.serialization.get("name", name)
        if member.serialization.get("location") == "querystring" and wire_name in query:
            given = query[wire_name]
            values[name] = given if isinstance(member, ListShape) else given[0]
    return values


def _typed(shape: Shape, value: Any, path: str) -> Any:
    match shape:
        case StructureShape() if isinstance(value, dict):
            return {
                name: _typed(member, value[name], _member_path(path, name))
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case ListShape() if isinstance(value, list):
            return [
                _typed(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)
            ]
        case MapShape() if isinstance(value, dict):
            return {
                _typed(shape.key, key, path): _typed(shape.value, item, _member_path(path, key))
                for key, item in value.items()
            }
        case _:
            return _typed_scalar(shape, value, path)


def _typed_scalar(shape: Shape, value: Any, path: str) -> Any:
    match shape.type_name:
        case "string" if isinstance(value, str):
            _refuse_lone_surrogates(value, path)
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
            if value.bit_length() < INTEGER_BITS[shape.type_name]:
                return value
    raise SerializationError(f"{path or 'The body'} must be of JSON type {_json_type(shape)}.")


def _json_type(shape: Shape) -> str:
    names = {"structure": "object", "map": "object", "list": "array"}
    if shape.type_name in INTEGER_BITS:
        return f"number (an integer of {INTEGER_BITS[shape.type_name]} bits)"
    return names.get(shape.type_name, shape.type_name)


def _refuse_lone_surrogates(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SerializationError(
            f"{path} contains an unpaired surrogate, which is not valid text."
        ) from error


def _broken_constraints(shape: Shape, value: Any, path: str) -> Iterator[str]:
    match shape:
        case StructureShape():
            for name in shape.required_members:
                if name not in value:
                    yield _problem(_member_path(path, name), "is required")
            for name, item in value.items():
                yield from _broken_constraints(shape.members[name], item, _member_path(path, name))
        case ListShape():
            yield from _broken_size(shape, len(value), path, "items")
            for index, item in enumerate(value):
                yield from _broken_constraints(shape.member, item, f"{path}[{index}]")
        case MapShape():
            yield from _broken_size(shape, len(value), path, "entries")
            for key, item in value.items():
                yield from _broken_constraints(shape.key, key, f"{path} (a key)")
                yield from _broken_constraints(shape.value, item, _member_path(path, key))
        case _:
            yield from _broken_scalar(shape, value, path)


def _broken_scalar(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "string":
        yield from _broken_size(shape, len(value), path, "characters")
        yield from _broken_text(shape, value, path)
    elif shape.type_name in INTEGER_BITS:
        yield from _broken_size(shape, value, path, "")


def _broken_size(shape: Shape, size: int, path: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _problem(path, f"must be at least {least} {unit}")
    if most is not None and size > most:
        yield _problem(path, f"must be at most {most} {unit}")


def _broken_text(shape: Shape, text: str, path: str) -> Iterator[str]:
    allowed = shape.metadata.get("enum")
    if allowed is not None and text not in allowed:
        yield _problem(path, f"must be one of {', '.join(allowed)}")
    pattern = shape.metadata.get("pattern")
    if pattern is None or shape.name in SHAPES_WITH_BROKEN_PATTERN:
        return
    if not python_pattern(pattern).fullmatch(text):
        yield _problem(path, f"must match {pattern}")


def _member_path(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _problem(path: str, rule: str) -> str:
    return f"Request member: {path} failed to satisfy the constraints: it {rule.rstrip()}"


def python_pattern(model_pattern: str) -> re.Pattern[str]:
    """A pattern of the model, which uses Java's syntax, as a Python pattern."""
    for category, python in PYTHON_FOR_CATEGORIES.items():
        model_pattern = model_pattern.replace(category, python)
    return re.compile(model_pattern)
