"""Finds every operation of AWS that the program calls, in its source.

A recording of calls would miss a call that no test reaches. The source can't: a client's method has
the name of the operation in snake case, and takes the members of its input as keywords.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel

SERVICES: Final = ("dynamodb", "ivs", "kms", "secretsmanager", "sts")
TAG: Final = "TagResource"
"""The permission that an operation needs besides its own if it is called with tags."""

# They take the operation's name, and call it with what the source does not show.
_BY_NAME: Final = frozenset({"get_paginator"})
_NOT_READ: Final = frozenset({"get_waiter", "_make_api_call", "generate_presigned_url"})


@dataclass(frozen=True, order=True, slots=True)
class Operation:
    """An operation of a service, and the module that calls it."""

    service: str
    name: str
    module: str = ""

    @property
    def action(self) -> str:
        """The IAM action of the operation. For these services it has the same name."""
        return f"{self.service}:{self.name}"


def operations_of(folder: Path) -> frozenset[Operation]:
    """The operations that the modules of that package call."""
    found: set[Operation] = set()
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        found |= set(operations_in(path.read_text(), module))
    return frozenset(found)


def operations_in(source: str, module: str) -> Iterator[Operation]:
    """The operations that this source calls, or mentions as a method that another part may call.

    Raises:
        AssertionError: when it calls an operation in a way that this can't follow.
    """
    tree = ast.parse(source)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        call = calls.get(id(node))
        assert node.attr not in _NOT_READ, f"{module}:{node.lineno}: {node.attr}"
        name = node.attr
        if call is not None and name in _BY_NAME:
            (argument,) = call.args
            assert isinstance(argument, ast.Constant), f"{module}:{node.lineno}: {name}"
            name, call = str(argument.value), None
        for service, operation in _operations().get(name, {}).items():
            if call is None or _takes(operation, call):
                yield Operation(service, operation.name, module)
                if call is not None and _may_tag(operation, call):
                    yield Operation(service, TAG, module)


def clients_made_in(source: str) -> frozenset[str]:
    """The services that the source names, if it makes clients."""
    available = set(_session().get_available_services())
    constants = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return frozenset(str(node.value) for node in constants) & available


def _takes(operation: OperationModel, call: ast.Call) -> bool:
    """Whether the operation takes those arguments. A client's method has no positional ones."""
    members = set(operation.input_shape.members) if operation.input_shape else set()
    required = set(operation.input_shape.required_members) if operation.input_shape else set()
    given = {keyword.arg for keyword in call.keywords}
    if call.args or not given - {None} <= members:
        return False
    return None in given or required <= given


def _may_tag(operation: OperationModel, call: ast.Call) -> bool:
    """Whether that call may pass tags, by name or in a mapping."""
    members = operation.input_shape.members if operation.input_shape else {}
    return any(
        name in members
        and any(keyword.arg in {name, None} for keyword in call.keywords)
        and operation.name.startswith(("Create", "Import"))
        for name in ("tags", "Tags")
    )


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@functools.cache
def _operations() -> Mapping[str, Mapping[str, OperationModel]]:
    """The operations by the name of the client's method, then by service."""
    found: dict[str, dict[str, OperationModel]] = {}
    for service in SERVICES:
        model = _session().get_service_model(service)
        for name in model.operation_names:
            found.setdefault(xform_name(name), {})[service] = model.operation_model(name)
    return found
