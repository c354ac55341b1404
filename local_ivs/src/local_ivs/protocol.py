"""The restJson1 protocol: reads the members of requests, and builds responses as AWS does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from local_ivs import shapes
from local_ivs.errors import ApiError, SerializationError, UnmodeledError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

NO_CONTENT = 204


@dataclass(frozen=True)
class ApiResponse:
    """An HTTP response of the API."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def read_members(
    operation: OperationModel,
    *,
    path: Mapping[str, str],
    query: Mapping[str, list[str]],
    body: bytes,
) -> dict[str, Any]:
    """The validated members of a request, from its path, its query string and its body.

    Raises:
        SerializationError: the body isn't a JSON object, or a member has the wrong JSON type.
        ValidationError: members violate constraints of the service model.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    members = _json_object(body)
    members.update(path)
    members.update(shapes.query_values(shape, query))
    validated: dict[str, Any] = shapes.validate(shape, members)
    return validated


def success(operation: OperationModel, members: Mapping[str, Any]) -> ApiResponse:
    """The response of an operation, with only the members of its output shape."""
    status = operation.http.get("responseCode", 200)
    if status == NO_CONTENT:
        return ApiResponse(status, _headers(), b"")
    shape = operation.output_shape
    document = shapes.serialize(shape, members) if shape else {}
    return ApiResponse(status, _headers(), json.dumps(document).encode())


def failure(error: ApiError) -> ApiResponse:
    """The response for an error: its type in a header, its message in `exceptionMessage`."""
    document = {"exceptionMessage": str(error)}
    if isinstance(error, UnmodeledError):
        # These errors aren't in the model; for them clients read the text from `message`.
        document["message"] = str(error)
    headers = _headers() | {"x-amzn-ErrorType": error.error_type}
    return ApiResponse(error.http_status, headers, json.dumps(document).encode())


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid4())}


def _json_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        document = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SerializationError("The body is not valid JSON in UTF-8.") from error
    if not isinstance(document, dict):
        raise SerializationError("The body must be a JSON object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")
