"""Conditions on the claims of an identity provider's token: the member `when` of a grant.

A condition names one claim and one value. It holds if the claim is that value, or a list which
contains it. The claim `scope` is a text of words between blanks (RFC 6749 §3.3), and holds each of
them. There is nothing else: no patterns, no negation, no comparison.

A claim inside of an object is named by its path, as in the token:
`when = { realm_access = { roles = "viewer" } }`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ClaimValue = str | int | bool

_SCOPE: Final = ("scope",)
_MAX_DEPTH: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """One claim has one value.

    Attributes:
        path: the name of the claim; of one inside of objects, the names of these before it.
        value: the value that the claim must have or contain.
    """

    path: tuple[str, ...]
    value: ClaimValue

    def holds(self, claims: Mapping[str, object]) -> bool:
        """Whether a token with these claims meets it. A claim that is missing does not."""
        found: object = claims
        for name in self.path:
            if not isinstance(found, Mapping) or name not in found:
                return False
            found = found[name]
        if self.path == _SCOPE and isinstance(found, str):
            return self.value in found.split(" ")
        if isinstance(found, list | tuple):
            return any(self._is(each) for each in found)
        return self._is(found)

    def _is(self, value: object) -> bool:
        # In Python, True equals 1. In a token they differ.
        return type(value) is type(self.value) and value == self.value

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} = {self.value!r}"


def conditions_in(table: Mapping[str, object]) -> Sequence[Condition]:
    """The conditions in a table of claims and values, sorted.

    Raises:
        ValueError: with a message for the operator: the table has a value that no condition can
            have, such as a list, or nothing.
    """
    conditions = sorted(_conditions(table, ()), key=lambda one: (one.path, str(one.value)))
    if not conditions:
        raise ValueError("Name at least one claim and its value.")
    return conditions


def _conditions(table: Mapping[str, object], before: tuple[str, ...]) -> Iterator[Condition]:
    for name, value in table.items():
        path = (*before, name)
        match value:
            case Mapping() if value and len(path) < _MAX_DEPTH:
                yield from _conditions(value, path)
            case str() | int():  # bool is an int.
                yield _condition(path, value)
            case _:
                raise ValueError(
                    f"The value of {'.'.join(path)} must be a string, a whole number, true or"
                    " false. To allow several values, write a grant for each."
                )


def _condition(path: tuple[str, ...], value: ClaimValue) -> Condition:
    if path == _SCOPE and (not isinstance(value, str) or not value or " " in value):
        raise ValueError(
            "The value of scope must be one word: the claim is a list of words between blanks."
        )
    return Condition(path, value)
