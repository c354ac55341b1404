"""JSON Schemas of the bodies and answers, made by pydantic from their types."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter

REFERENCE: Final = "#/components/schemas/{model}"
_NULL: Final = {"type": "null"}


def reference(kind: type[Any]) -> dict[str, object]:
    """The schema that refers to the one of that type."""
    return {"$ref": REFERENCE.format(model=kind.__name__)}


def schemas_of(
    bodies: Iterable[type[Any]], answers: Iterable[type[Any]]
) -> dict[str, dict[str, Any]]:
    """The schemas of these dataclasses, and of the types of their members, by name.

    Null means that an optional member of a body is absent, as `bodies.Form` has it.
    """
    bodies, answers = tuple(bodies), tuple(answers)
    found: dict[str, dict[str, Any]] = {}
    for kind in (*bodies, *answers):
        made = TypeAdapter(kind).json_schema(ref_template=REFERENCE)
        found.update(made.pop("$defs", {}))
        found[kind.__name__] = made
    kinds = dict(_with_members((*bodies, *answers)))
    names_of_bodies = {kind.__name__ for kind in bodies}
    return {
        name: _finished(schema, kinds.get(name), of_body=name in names_of_bodies)
        for name, schema in sorted(found.items())
    }


def _with_members(kinds: Iterable[type[Any]]) -> Iterator[tuple[str, type[Any]]]:
    """These dataclasses by name, and those of the same modules, which are their members."""
    for kind in kinds:
        module = inspect.getmodule(kind)
        for name, value in vars(module).items():
            if dataclasses.is_dataclass(value) and isinstance(value, type):
                yield name, value


def _finished(
    schema: Mapping[str, Any], kind: type[Any] | None, *, of_body: bool
) -> dict[str, Any]:
    finished = {key: value for key, value in schema.items() if key != "title"}
    if kind is None:
        return finished
    purpose, texts = _documentation(kind)
    if of_body:
        finished.pop("description", None)  # The operation describes it.
    else:
        finished["description"] = purpose
    properties = {
        name: _property(value, texts.get(name, ""), of_body=of_body)
        for name, value in schema["properties"].items()
    }
    return {**finished, "properties": properties}


def _property(schema: Mapping[str, Any], text: str, *, of_body: bool) -> dict[str, Any]:
    is_optional = "default" in schema
    kept = {key: value for key, value in schema.items() if key not in {"title", "default"}}
    if of_body and is_optional and _NULL not in kept.get("anyOf", ()):
        kept = {"anyOf": [kept, _NULL]}
    return {**kept, "description": text} if text else kept


def _documentation(kind: type[Any]) -> tuple[str, Mapping[str, str]]:
    """The purpose of a dataclass and the texts about its attributes, from its docstring."""
    purpose, _, attributes = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:\n")
    entries = re.split(r"^    (?=\w+: )", attributes, flags=re.MULTILINE)
    texts = dict(entry.split(": ", 1) for entry in entries if entry)
    return _joined(purpose), {name: _sentence(text) for name, text in texts.items()}


def _joined(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    joined = _joined(text).replace("None", "null")
    return joined[:1].upper() + joined[1:]
