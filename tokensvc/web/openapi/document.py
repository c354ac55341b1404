"""The OpenAPI 3.1 document of the HTTP API, made from the types that the code validates with.

python -m tokensvc.web.openapi.document > docs/openapi.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tokensvc import __version__
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import TokensvcError, Unauthenticated
from tokensvc.web import problems
from tokensvc.web.headers import REQUEST_ID_HEADER
from tokensvc.web.openapi import answers
from tokensvc.web.openapi.operations import OPERATIONS, Operation, Refusals
from tokensvc.web.openapi.schemas import reference, schemas_of

_DESCRIPTION: Final = (
    "Playback authorization for Amazon IVS private channels. Send an API key, or the token of a"
    " user, as `Authorization: Bearer …`. Every refusal is a problem document (RFC 9457) with a"
    " stable `code`. Another path gets `not_found` (404), and another method"
    " `method_not_allowed` (405)."
)
_TAGS: Final = {
    "Playback": "For backends and pages: the scope `mint`.",
    "Moderation": "For moderators: the scope `moderate`.",
    "Operation": "For operators: the scope `operate`.",
    "Public": "Without credentials.",
}
_SECURITY: Final = "caller"
_REQUEST_ID: Final = "9f86d081884c7d659a2feaa0c55ad015"


def document() -> dict[str, Any]:
    """The whole document. Its server is the folder of its own address."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tokensvc",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "./", "description": "This service"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": (
                        "An API key of `tokensvc api-keys create`, or a token of a configured"
                        " identity provider."
                    ),
                }
            },
            "headers": _HEADERS,
            "schemas": _schemas(),
            "examples": _examples(),
        },
    }


def text() -> str:
    """The document as it is stored and served."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


_HEADERS: Final[Mapping[str, object]] = {
    REQUEST_ID_HEADER: {
        "description": "The ID of the request in the log of the service.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "The number of seconds after which a retry can succeed.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "WWW-Authenticate": {
        "description": "How to authenticate (RFC 6750 §3).",
        "schema": {"type": "string"},
    },
}


def _schemas() -> dict[str, dict[str, Any]]:
    bodies = dict.fromkeys(each.body for each in OPERATIONS if each.body is not None)
    made_of = dict.fromkeys(each.answer for each in OPERATIONS if each.answer is not None)
    schemas = schemas_of(bodies, (*made_of, answers.Problem))
    # The items of a batch are checked one by one, as requests for a playback URL.
    schemas["BatchBody"]["properties"]["requests"]["items"] = reference(PlaybackRequest)
    return schemas


def _paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return paths


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{_SECURITY: [operation.scope]}] if operation.scope else [],
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.body is not None:
        content = {"schema": reference(operation.body), "examples": _named(operation.body_examples)}
        described["requestBody"] = {"required": True, "content": {"application/json": content}}
    described["responses"] = {
        str(operation.status): _success(operation),
        **{str(status): _refusal(kinds) for status, kinds in _by_status(operation)},
    }
    return described


def _success(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"type": "string"}}
    if operation.answer is not None:
        content = {"schema": reference(operation.answer), "example": operation.answer_example}
    return {
        "description": operation.summary,
        "headers": {REQUEST_ID_HEADER: _header(REQUEST_ID_HEADER)},
        "content": {operation.media_type: content},
    }


def _by_status(operation: Operation) -> Sequence[tuple[int, Refusals]]:
    statuses = sorted({kind.http_status for kind in operation.all_refusals})
    return [
        (status, tuple(kind for kind in operation.all_refusals if kind.http_status == status))
        for status in statuses
    ]


def _refusal(kinds: Refusals) -> dict[str, Any]:
    codes = list(dict.fromkeys(kind.code for kind in kinds))
    headers = {REQUEST_ID_HEADER: _header(REQUEST_ID_HEADER)}
    if any(kind.default_retry_after_seconds is not None for kind in kinds):
        headers["Retry-After"] = _header("Retry-After")
    if Unauthenticated in kinds:
        headers["WWW-Authenticate"] = _header("WWW-Authenticate")
    listed = ", ".join(f"`{code}`" for code in codes)
    return {
        "description": f"Refused with {listed}",
        "headers": headers,
        "content": {
            problems.MEDIA_TYPE: {
                # Not narrowed to these codes: a client would get a class for each status.
                "schema": reference(answers.Problem),
                "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in codes},
            }
        },
    }


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _named(examples: Mapping[str, object]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in examples.items()}


def _examples() -> dict[str, Any]:
    """A problem document of each code that a route can answer with."""
    kinds = {kind.code: kind for each in OPERATIONS for kind in each.all_refusals}
    return {code: {"value": _example_of(kind)} for code, kind in sorted(kinds.items())}


def _example_of(kind: type[TokensvcError]) -> dict[str, object]:
    error = kind(problems.PUBLIC_SENTENCES.get(kind.code, f"{kind.title}."))
    return problems.document(error, _REQUEST_ID)


if __name__ == "__main__":
    print(text(), end="")  # noqa: T201 # This program prints the document.
