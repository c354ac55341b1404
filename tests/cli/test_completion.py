"""Completion in real shells: what each one offers behind the words of a command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from tests.cli.conftest import Desk
from tokensvc.cli.main import cli

TIME_OUT_SECONDS = 60.0
BASH = """
eval "$(tokensvc completion bash)"
COMP_WORDS=($1)
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_tokensvc_completion tokensvc
printf '%s\\n' "${COMPREPLY[@]}"
"""
FISH = """
tokensvc completion fish | source
complete -C $argv[1]
"""
# Its completion needs a terminal. What is behind the prompt is typed, and Tab lists what fits.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1="PROM""PT>"; autoload -Uz compinit; compinit -u -D'
zpty -w shell 'eval "$(tokensvc completion zsh)"; LISTMAX=0; PS1="REA""DY>"'
zpty -r shell printed '*READY>*'
zpty -n -w shell "$1"$'\\t'
zpty -r shell printed "*$2*"
print -r -- "$printed"
"""


def program(name: str) -> str:
    """The path of the shell."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed. On Debian or Ubuntu: apt install {name}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def printed_by(shell: str, *arguments: str) -> str:
    """What the shell prints, which finds `tokensvc` first in PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [program(shell), *arguments],
        env={**os.environ, "PATH": path, "TERM": "xterm"},
        capture_output=True,
        text=True,
        timeout=TIME_OUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def in_bash(line: str) -> list[str]:
    """What bash offers."""
    return printed_by("bash", "-c", BASH, "bash", line).splitlines()


def in_fish(line: str) -> list[str]:
    """What fish offers, each with its description behind a tab."""
    return printed_by("fish", "--no-config", "-c", FISH, line).splitlines()


def test_bash_completes_commands() -> None:
    """By the function that it registers."""
    assert in_bash("tokensvc keys ro") == ["rollback", "rotate"]


def test_fish_completes_commands_with_whole_descriptions() -> None:
    """A comma in a description does not end it."""
    (offered,) = in_fish("tokensvc ke")
    assert offered.startswith("keys\tCreate, import, rotate and revoke")


def test_zsh_completes_commands() -> None:
    """In a terminal, with descriptions."""
    printed = printed_by("zsh", "-c", ZSH, "zsh", "tokensvc keys ro", "rotate")
    assert "rollback  -- Switch signing back" in printed


@pytest.mark.parametrize("offers", [in_bash, in_fish])
def test_configured_names_are_completed(desk: Desk, offers: Callable[[str], list[str]]) -> None:
    """Grants of the settings that `--config` names."""
    line = f"tokensvc --config {desk.settings} api-keys create website --grant w"
    assert offers(line) == ["web"]


@pytest.mark.parametrize(
    ("before", "option", "name"),
    [
        ("tokens sign", "", "evening-show"),
        ("viewers revoke", "", "evening-show"),
        ("bans add viewer-7", "--channel", "evening-show"),
        ("grants explain", "--issuer", "members-of-example"),
        ("keys rotate", "--region", "us-west-2"),
    ],
)
def test_names_are_completed_wherever_they_are_given(
    desk: Desk, before: str, option: str, name: str
) -> None:
    """Channels and issuers by their names in the settings, and regions."""
    with desk.settings.open("a") as settings:
        settings.write(
            '[channels]\nevening-show = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"\n'
            '[issuers.members-of-example]\nissuer = "https://login.example.com"\n'
            'audience = "tokensvc"\ngrants = ["web"]\n'
            '[viewer_ids]\nsecret_file = "key-encryption-secret"\n'
        )
    completion = ShellComplete(cli, {}, "tokensvc", "_TOKENSVC_COMPLETE")
    given = ["--config", str(desk.settings), *before.split(), *option.split()]
    assert [item.value for item in completion.get_completions(given, name[:3])] == [name]
