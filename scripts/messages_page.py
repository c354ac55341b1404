# ruff: noqa: INP001 - A program, not a package.
"""Write `docs/reference/messages.md`: every text that the program can show to a person.

    python -m scripts.messages_page > docs/reference/messages.md

Help comes from the commands themselves. Messages are read from the source: each string with at
least two words is listed under its module, with the error or the call that it belongs to. A value
that is filled in at run time is shown as `{name}`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tokensvc import errors
from tokensvc.cli.main import cli
from tokensvc.errors import TokensvcError

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "demo", ROOT / "tokensvc")

_HEAD = """\
# Messages

Every text that tokensvc can show to a person, for review from top to bottom. This page is
generated; `{name}` stands for a value. Programs should use the codes and identifiers, which are
stable. The sentences may change in any release."""
_TWO_WORDS = re.compile(r"[A-Za-z][a-z']+[,:;]? [A-Za-z`{(]")
_SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE FROM|CREATE|DROP|PRAGMA|BEGIN|VACUUM)\b")


@dataclass(frozen=True, slots=True)
class Message:
    """One text of a module.

    Attributes:
        kind: the error's code, `hint`, `log`, or `text` for everything else.
        text: the text, with `{name}` for each value.
    """

    kind: str
    text: str


def messages_page() -> str:
    """The text of `docs/reference/messages.md`."""
    parts = [_HEAD, "## Error codes", _codes(), "## Commands", *_help(cli, "tokensvc")]
    for path in (path for package in PACKAGES for path in sorted(package.rglob("*.py"))):
        if messages := messages_of(path.read_text(), error_codes()):
            parts += [f"## `{path.relative_to(ROOT)}`", _listed(messages)]
    return "\n\n".join(parts) + "\n"


def error_codes() -> dict[str, str]:
    """The code of every error class, by the name of the class."""
    return {
        name: kind.code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, TokensvcError)
    }


def messages_of(source: str, codes: dict[str, str]) -> Sequence[Message]:
    """The messages in a module's source, in the order in which they stand there."""
    collector = _Collector(codes)
    collector.visit(ast.parse(source))
    return collector.messages


class _Collector(ast.NodeVisitor):
    """Visits a module and keeps each text with what it belongs to."""

    def __init__(self, codes: dict[str, str]) -> None:
        self._codes = codes
        self._kind = "text"
        self.messages: list[Message] = []

    def visit_Call(self, node: ast.Call) -> None:
        name = _called_name(node.func)
        kind = self._codes.get(name, "log" if _is_log_call(node.func) else self._kind)
        for argument in node.args:
            self._visit_as(kind, argument)
        for keyword in node.keywords:
            self._visit_as("hint" if keyword.arg == "hint" else kind, keyword.value)
        self.visit(node.func)

    def visit_Expr(self, node: ast.Expr) -> None:
        # A string that stands by itself is a docstring, which only readers of the source see.
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        self._keep(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._keep(node)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if _text_of(node) is None:
            self.generic_visit(node)
        else:
            self._keep(node)

    def _visit_as(self, kind: str, node: ast.expr) -> None:
        outer, self._kind = self._kind, kind
        self.visit(node)
        self._kind = outer

    def _keep(self, node: ast.expr) -> None:
        text = _text_of(node)
        if text is not None and _TWO_WORDS.search(text) and not _SQL.match(text):
            self.messages.append(Message(self._kind, " ".join(text.split())))


def _called_name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_log_call(function: ast.expr) -> bool:
    return isinstance(function, ast.Attribute) and ast.unparse(function.value).endswith(
        ("_log", "_logger", "logging")
    )


def _text_of(node: ast.expr) -> str | None:
    """The text of a string expression; None for any other expression."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text_of(part) or "" for part in parts)
        case ast.FormattedValue(value=value):
            return "{" + re.sub(r"\s+", " ", ast.unparse(value)).replace("`", "'") + "}"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = _text_of(left), _text_of(right)
            if texts == (None, None):
                return None
            sides = zip(texts, (left, right), strict=True)
            return "".join(
                "{" + ast.unparse(side) + "}" if text is None else text for text, side in sides
            )
        case _:
            return None


def _codes() -> str:
    rows = ["| code | HTTP status | title |", "| --- | --- | --- |"]
    kinds = {kind.code: kind for kind in vars(errors).values() if _is_error_class(kind)}
    rows += [f"| `{code}` | {kind.http_status} | {kind.title} |" for code, kind in kinds.items()]
    return "\n".join(rows)


def _is_error_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, TokensvcError)


def _help(group: click.Group, path: str) -> Iterator[str]:
    yield _help_of(group, path)
    for name, command in group.commands.items():
        called = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from _help(command, called)
        else:
            yield _help_of(command, called)


def _help_of(command: click.Command, path: str) -> str:
    paragraphs = [
        " ".join(part.replace("\b", "").split()) for part in (command.help or "").split("\n\n")
    ]
    options = [
        f"- `{'`, `'.join(parameter.opts)}` {parameter.help or ''}".rstrip()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    ]
    return "\n\n".join([f"### `{path}`", *paragraphs, *(["\n".join(options)] if options else [])])


def _listed(messages: Sequence[Message]) -> str:
    return "\n".join(f"- **{message.kind}** {_escaped(message.text)}" for message in messages)


def _escaped(text: str) -> str:
    """The text as Markdown that shows it unchanged."""
    return re.sub(r"([<*])", r"\\\1", text)


if __name__ == "__main__":
    sys.stdout.write(messages_page())
