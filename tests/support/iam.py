"""IAM policies, evaluated as AWS does: for what the files in `deploy/iam` use.

Source: IAM User Guide, "Policy evaluation logic" and "Multivalued context keys".
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": fnmatch.fnmatchcase,
}
Context = Mapping[str, Sequence[str]]
"""The condition keys of a request, each with its values."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that allows something."""

    sid: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Mapping[str, Sequence[str]]]

    @classmethod
    def of(cls, statement: Mapping[str, Any]) -> Self:
        """The statement with those members. A member with one value may be a text."""
        assert statement["Effect"] == "Allow"
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        return cls(
            statement["Sid"],
            _listed(statement["Action"]),
            _listed(statement["Resource"]),
            {
                operator: {name: _listed(values) for name, values in keys.items()}
                for operator, keys in statement.get("Condition", {}).items()
            },
        )

    def allows(self, action: str, resource: str, context: Context) -> bool:
        """Whether it allows that action on that resource."""
        return (
            action in self.actions
            and any(fnmatch.fnmatchcase(resource, pattern) for pattern in self.resources)
            and all(
                _holds(operator, context.get(name, ()), values)
                for operator, keys in self.conditions.items()
                for name, values in keys.items()
            )
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. What no statement allows is denied."""

    statements: Sequence[Statement]

    @classmethod
    def read(cls, path: Path, values: Mapping[str, str]) -> Self:
        """The policy in that file, with a value for each placeholder `${Name}`."""
        text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], path.read_text())
        return cls.of(json.loads(text))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The policy with that document."""
        assert document["Version"] == "2012-10-17"
        return cls([Statement.of(statement) for statement in document["Statement"]])

    @property
    def actions(self) -> frozenset[str]:
        """Every action that a statement names."""
        return frozenset(action for found in self.statements for action in found.actions)

    def allows(self, action: str, resource: str, context: Context) -> bool:
        """Whether a statement allows that action on that resource."""
        return any(found.allows(action, resource, context) for found in self.statements)


def _holds(operator: str, given: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the values that a request has for a key satisfy the condition."""
    if operator == "Null":
        return (not given) == (wanted == ["true"])
    quantifier, _, comparison = operator.rpartition(":")
    compare = _OPERATORS[comparison]
    results = [any(compare(value, one) for one in wanted) for value in given]
    match quantifier:
        case "ForAllValues":
            return all(results)  # Also without a value, which is why Null stands beside it.
        case "ForAnyValue":
            return any(results)
        case "":
            return len(results) == 1 and results[0]
        case _:
            raise NotImplementedError(operator)


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
