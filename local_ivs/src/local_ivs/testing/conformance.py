"""Validates responses of an IVS server against AWS's service model.

It reads the model's JSON itself and uses no other code of Local IVS, so that a mistake of the
server can't hide here.
"""

from __future__ import annotations

import functools
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.loaders import Loader

if TYPE_CHECKING:
    from collections.abc import Iterator

UNMODELED_ERRORS = frozenset(
    {
        "MissingAuthenticationTokenException",
        "NotImplementedException",
        "RequestEntityTooLargeException",
        "SerializationException",
        "UnknownOperationException",
    }
)
# Any operation can be throttled or fail, but the model declares these errors for few operations.
ERRORS_OF_ANY_OPERATION = frozenset(
    {"InternalServerException", "ServiceUnavailable", "ThrottlingException"}
)


@functools.cache
def model() -> dict[str, Any]:
    """The service model of IVS, as AWS publishes it."""
    description: dict[str, Any] = Loader().load_service_model("ivs", "service-2")
    return description


def problems_of_success(operation: str, status: int, document: Any) -> list[str]:
    """How a successful response violates the operation's output shape."""
    description = model()["operations"][operation]
    found = []
    if status != description["http"]["responseCode"]:
        found.append(f"status {status} instead of {description['http']['responseCode']}")
    if "output" not in description:
        return [*found, f"body {document}"] if document else found
    return found + list(_problems(description["output"]["shape"], document, operation))


def problems_of_error(operation: str, status: int, error_type: str, document: Any) -> list[str]:
    """How an error response violates the model."""
    found = []
    if set(document) - {"exceptionMessage", "message"} or "exceptionMessage" not in document:
        found.append(f"body {document}")
    if error_type in UNMODELED_ERRORS:
        return found
    declared = [each["shape"] for each in model()["operations"][operation]["errors"]]
    if error_type not in ERRORS_OF_ANY_OPERATION.union(declared):
        return [*found, f"{operation} doesn't declare {error_type}"]
    expected = model()["shapes"][error_type]["error"]["httpStatusCode"]
    if status != expected:
        found.append(f"{error_type} with status {status} instead of {expected}")
    return found


PYTHON_TYPES: dict[str, type[Any]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "timestamp": str,
    "boolean": bool,
    "integer": int,
    "long": int,
}


def _problems(shape_name: str, value: Any, where: str) -> Iterator[str]:
    shape = model()["shapes"][shape_name]
    kind = shape["type"]
    if not isinstance(value, PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where} is {type(value).__name__}, not {kind}"
    elif kind == "structure":
        yield from _problems_of_structure(shape, value, where)
    elif kind == "list":
        yield from _problems_of_size(shape, len(value), where)
        for index, item in enumerate(value):
            yield from _problems(shape["member"]["shape"], item, f"{where}[{index}]")
    elif kind == "map":
        yield from _problems_of_size(shape, len(value), where)
        for key, item in value.items():
            yield from _problems(shape["value"]["shape"], item, f"{where}.{key}")
    else:
        yield from _problems_of_scalar(shape_name, value, where)


def _problems_of_scalar(shape_name: str, value: Any, where: str) -> Iterator[str]:
    shape = model()["shapes"][shape_name]
    match shape["type"]:
        case "timestamp":
            if datetime.fromisoformat(value).utcoffset() is None:
                yield f"{where} has no time zone"
        case "string":
            yield from _problems_of_string(shape_name, value, where)
        case "integer" | "long":
            yield from _problems_of_size(shape, value, where)


def _problems_of_structure(
    shape: dict[str, Any], value: dict[str, Any], where: str
) -> Iterator[str]:
    members = shape["members"]
    for name in shape.get("required", []):
        if name not in value:
            yield f"{where}.{name} is missing"
    for name, item in value.items():
        if name in members:
            yield from _problems(members[name]["shape"], item, f"{where}.{name}")
        else:
            yield f"{where}.{name} is unknown"


def _problems_of_string(shape_name: str, value: str, where: str) -> Iterator[str]:
    shape = model()["shapes"][shape_name]
    yield from _problems_of_size(shape, len(value), where)
    # "For other channel types (BASIC and STANDARD), preset is the empty string" (Channel$preset).
    without_preset = shape_name == "TranscodePreset" and not value
    if "enum" in shape and value not in shape["enum"] and not without_preset:
        yield f"{where} is {value}"
    # The pattern of ResourceArn lacks a `+`, so it doesn't match any real ARN.
    pattern = shape.get("pattern", "")
    testable = shape_name != "ResourceArn" and r"\p{" not in pattern
    if pattern and testable and re.fullmatch(pattern, value) is None:
        yield f"{where} doesn't match {pattern}"


def _problems_of_size(shape: dict[str, Any], size: int, where: str) -> Iterator[str]:
    if not shape.get("min", size) <= size <= shape.get("max", size):
        yield f"{where} has size {size}"
