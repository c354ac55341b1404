"""The restJson1 protocol both ways: a request's members, and answers in AWS's form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

from tokensvc.localivs import shapes
from tokensvc.localivs.errors import ApiError, FrontDoorError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

NO_CONTENT = 204


@dataclass(frozen=True)
class Answer:
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
    """The accepted members of a request, from its path, its query string and its body.

    Raises:
        SerializationError: the body isn't a JSON object, or a member has the wrong JSON type.
        ValidationError: constraints of the service model are broken.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    members = _json_object(body)
    members.update(path)
    members.update(shapes.query_values(shape, query))
    accepted: dict[str, Any] = shapes.accept(shape, members)
    return accepted


def success(operation: OperationModel, members: Mapping[str, Any]) -> Answer:
    """The answer of an operation: the members that its output shape has, and no others."""
    status = operation.http.get("responseCode", 200)
    if status == NO_CONTENT:
        return Answer(status, _headers(), b"")
    shape = operation.output_shape
    document = shapes.present(shape, members) if shape else {}
    return Answer(status, _headers(), json.dumps(document).encode())


def failure(error: ApiError) -> Answer:
    """The answer that tells an error: its type in a header, `exceptionMessage` in the body."""
    document = {"exceptionMessage": str(error)}
    if isinstance(error, FrontDoorError):
        # These aren't in the model: clients look for their text in `message`.
        document["message"] = str(error)
    headers = _headers() | {"x-amzn-ErrorType": error.error_type}
    return Answer(error.http_status, headers, json.dumps(document).encode())


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid4())}


def _json_object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        document = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SerializationError("The body is not well-formed JSON in UTF-8.") from error
    if not isinstance(document, dict):
        raise SerializationError("The body must be of JSON type object.")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
