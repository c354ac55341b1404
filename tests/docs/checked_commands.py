"""Whether a command in a page exists: the program, its options, and the files that it names."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping, Sequence

import botocore.session
import click
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError

from tests.docs.blocks import ROOT
from tokensvc.cli.main import cli

Words = Sequence[str]

ORDINARY = {
    *("$EDITOR", ".", "base64", "cat", "cd", "chmod", "chown", "curl", "echo", "export", "grep"),
    *("head", "install", "kill", "mkdir", "mv", "openssl", "printf", "rm", "sleep", "test", "tr"),
    *("umask", "useradd", "wait"),
}
"""Programs of every machine, whose arguments are checked where the block is run."""

AWS_GLOBAL = {"--region", "--query", "--output", "--profile", "--endpoint-url", "--cli-input-json"}
AWS_ALONE = {"login", "configure"}
AWS_CUSTOM = {
    # Of the aws CLI, and not of a service. By its documentation of the command.
    ("cloudformation", "deploy"): {
        "--template-file",
        "--stack-name",
        "--capabilities",
        "--parameter-overrides",
    },
    ("sso", "login"): {"--profile"},
}


def problems_of(words: Words) -> list[str]:
    """What is wrong with a command; empty if nothing is."""
    words = _unwrapped(words)
    program = words[0].rpartition("/")[2]
    if program in CHECKS:
        return CHECKS[program](words[1:])
    return [] if program in ORDINARY else [f"no test knows the program {words[0]}"]


def tokensvc_problems(words: Words) -> list[str]:
    """Problems of the arguments of `tokensvc`. The values are not looked at."""
    if words[:1] in (["--help"], ["--version"]):
        return []
    command: click.Command = cli
    context = click.Context(cli, info_name="tokensvc")
    rest = list(words)
    while True:
        try:
            values, rest, _ = command.make_parser(context).parse_args(rest)
        except click.UsageError as exc:
            return [exc.format_message()]
        if not isinstance(command, click.Group):
            break
        if not rest or rest[0] not in command.commands:
            return [f"no command: {words}"]
        command = command.commands[rest.pop(0)]
        context = click.Context(command, info_name=command.name, parent=context)
    missing = [
        parameter.human_readable_name
        for parameter in command.params
        if parameter.required and not _is_given(values.get(str(parameter.name)))
    ]
    return [f"too many arguments: {rest}"] * bool(rest) + [f"missing: {name}" for name in missing]


def _is_given(value: object) -> bool:
    """Click has a marker for a parameter without a value, which is no part of its API."""
    return value not in {None, ()} and type(value).__name__ != "Sentinel"


def _unwrapped(words: Words) -> Words:
    """The command that another one runs."""
    if words[0] in {"runuser", "sudo"} and "--" in words:
        return words[words.index("--") + 1 :]
    if list(words[:4]) == ["docker", "compose", "run", "--rm"]:
        return ["tokensvc", *words[5:]]
    return words


def _make_problems(words: Words) -> list[str]:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [f"no target {word}" for word in words if "=" not in word and word not in targets]


def _python_problems(words: Words) -> list[str]:
    if words[:2] == ["-m", "venv"]:
        return []
    if words[0] == "-m":
        spec = importlib.util.find_spec(words[1])
        if spec is None or spec.origin is None:
            return [f"no module {words[1]}"]
        source = inspect.getsource(importlib.import_module(words[1]))
        return [
            f"{words[1]} has no option {word}"
            for word in words[2:]
            if word.startswith("--") and f'"{word}"' not in source
        ]
    return _missing_files([word for word in words[:1] if "/" in word])


def _aws_problems(words: Words) -> list[str]:
    if words[0] in AWS_ALONE:
        return []
    service, operation, *rest = words
    options = {word for word in rest if word.startswith("--")} - AWS_GLOBAL
    if (service, operation) in AWS_CUSTOM:
        return [f"no option {option}" for option in options - AWS_CUSTOM[service, operation]]
    try:
        model = botocore.session.get_session().get_service_model(service)
        names = {xform_name(name, "-"): name for name in model.operation_names}
        shape = model.operation_model(names.get(operation, operation)).input_shape
    except (UnknownServiceError, OperationNotFoundError) as exc:
        return [str(exc)]
    members = shape.members if shape else {}
    known = {f"--{form}{xform_name(name, '-')}" for name in members for form in ("", "no-")}
    return [f"aws {service} {operation} has no option {option}" for option in options - known]


def _files_problems(words: Words) -> list[str]:
    """The paths of the repository among the arguments of docker, kubectl, systemctl and cp."""
    return _missing_files(
        [word for word in words if re.match(r"(deploy|docs|requirements)/", word)]
    )


def _kubectl_problems(words: Words) -> list[str]:
    manifests = "".join(path.read_text() for path in (ROOT / "deploy/kubernetes").glob("*.yaml"))
    objects = [word.partition("/")[2] for word in words if re.match(r"(deployment|cronjob)/", word)]
    missing = [name for name in objects if f"  name: {name}\n" not in manifests]
    return [*_files_problems(words), *(f"no manifest of {name}" for name in missing)]


def _missing_files(paths: Words) -> list[str]:
    folders = (ROOT, ROOT / "local_ivs")  # A page of local_ivs changes into its folder.
    return [
        f"no file {path}"
        for path in paths
        if not any(list(folder.glob(path)) for folder in folders)
    ]


def _systemctl_problems(words: Words) -> list[str]:
    named = [word for word in words if word.startswith("tokensvc")]
    units = [name if "." in name else f"{name}.service" for name in named]
    return [f"no unit {unit}" for unit in units if not (ROOT / "deploy/systemd" / unit).exists()]


def _no_problems(words: Words) -> list[str]:
    """Of a program that is installed for the tests, which run the block."""
    del words
    return []


CHECKS: Mapping[str, Callable[[Words], list[str]]] = {
    "tokensvc": tokensvc_problems,
    "make": _make_problems,
    "aws": _aws_problems,
    "python": _python_problems,
    "python3": _python_problems,
    "docker": _files_problems,
    "kubectl": _kubectl_problems,
    "cp": _files_problems,
    "sed": _files_problems,
    "pip": _files_problems,
    "systemctl": _systemctl_problems,
    "pytest": _no_problems,
    "local-ivs": _no_problems,
    "openapi-python-client": _no_problems,
}
