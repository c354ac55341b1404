# ruff: noqa: INP001 - A program, not a package.
"""Write the policies of `deploy/iam` into the roles of the template. Run it after a change of one.

    python -m scripts.template_policies

CloudFormation can't read a policy from another file. A statement for one custody, whose name ends
with its service, is in the role only if the parameter `Custody` names that custody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "deploy/cloudformation.yaml"
ROLES = ("minter", "key-administrator")
CONDITIONS = {"InKms": "UsesKms", "InSecretsManager": "UsesSecretsManager"}
# The other placeholders are parameters of the template.
PSEUDO_PARAMETERS = {"${Region}": "${AWS::Region}", "${Account}": "${AWS::AccountId}"}
INDENT = " " * 14


def main() -> None:
    """Replace the statements of each role in the template."""
    template = TEMPLATE.read_text()
    for role in ROLES:
        policy = json.loads((ROOT / f"deploy/iam/{role}.json").read_text())
        statements = [line for one in policy["Statement"] for line in conditional(one)]
        text = "\n".join(INDENT + line for line in statements)
        found = re.search(rf"- PolicyName: {role}\n.*?Statement:\n(.*?)\n\n", template, re.DOTALL)
        if found is None:
            raise SystemExit(f"{TEMPLATE} has no policy {role}.")
        template = template[: found.start(1)] + text + template[found.end(1) :]
    TEMPLATE.write_text(template)


def conditional(statement: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a statement in a list, with the condition of its custody if it has one."""
    lines = list(members(statement))
    name = next((use for end, use in CONDITIONS.items() if statement["Sid"].endswith(end)), None)
    if name is None:
        yield from item(lines)
        return
    yield "- !If"
    yield f"  - {name}"
    yield from (f"  {line}" for line in item(lines))
    yield "  - !Ref AWS::NoValue"


def item(lines: Sequence[str]) -> Iterator[str]:
    """The lines as one item of a list."""
    yield f"- {lines[0]}"
    yield from (f"  {line}" for line in lines[1:])


def members(statement: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a statement."""
    yield f"Sid: {statement['Sid']}"
    yield f"Effect: {statement['Effect']}"
    yield from listed("Action", statement["Action"])
    yield from listed("Resource", statement["Resource"])
    if "Condition" in statement:
        yield "Condition:"
    # Quoted, because YAML takes the operator Null for its null.
    for operator, keys in statement.get("Condition", {}).items():
        yield f'  "{operator}":'
        for key, values in keys.items():
            texts = [values] if isinstance(values, str) else values
            joined = ", ".join(scalar(text) for text in texts)
            yield f'    "{key}": ' + (joined if isinstance(values, str) else f"[{joined}]")


def listed(name: str, values: str | Sequence[str]) -> Iterator[str]:
    """The lines of a member with one value or several."""
    if isinstance(values, str):
        yield f"{name}: {scalar(values)}"
        return
    yield f"{name}:"
    yield from (f"  - {scalar(value)}" for value in values)


def scalar(text: str) -> str:
    """The text with the template's parameters in place of the placeholders."""
    for placeholder, parameter in PSEUDO_PARAMETERS.items():
        text = text.replace(placeholder, parameter)
    quoted = json.dumps(text)
    return f"!Sub {quoted}" if "${" in text else quoted


if __name__ == "__main__":
    main()
