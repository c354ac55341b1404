"""The exit status of every command: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import socket
from contextlib import closing

import click
import pytest
from click.testing import CliRunner

from tests.cli.conftest import Desk
from tokensvc.cli.main import cli
from tokensvc.cli.reference import commands

CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
STREAM_KEY = "arn:aws:ivs:us-west-2:123456789012:stream-key/abcdEFGHijkl"
NEEDS_NOTHING = {"init", "completion", "issuers refresh"}
"""The commands that need neither Amazon IVS nor the state; the last one where no issuer is set."""
USES = {
    "serve": "--check",
    "keys generate": "",
    "keys import": "",
    "keys adopt": f"--arn {CHANNEL.replace('channel', 'playback-key')} --private-key key.pem",
    "keys list": "",
    "keys show": "k5164d6304f6c",
    "keys rotate": "",
    "keys rollback": "",
    "keys reconcile": "",
    "keys revoke": "k5164d6304f6c --yes",
    "keys rewrap": "",
    "keys history": "",
    "keys terms": "",
    "keys doctor": "",
    "keys test-notification": "",
    "api-keys create": "site --grant web",
    "api-keys rotate": "site",
    "api-keys list": "",
    "api-keys confirm": "site",
    "api-keys revoke": "site --yes",
    "grants explain": f"--as site --channel {CHANNEL}",
    "bans add": f"alice --channel {CHANNEL} --for 1h",
    "bans list": "",
    "bans lift": "b5164d6304f6c",
    "issuers list": "",
    "viewers id": "https://issuer.example alice",
    "viewers record-secrets": "--yes",
    "viewers revoke": f"{CHANNEL} alice",
    "viewers end-due": "",
    "tokens sign": CHANNEL,
    "tokens inspect": "x",
    "state upgrade": "--yes",
    "state backup": "backup.json",
    "state restore": "--in-place --yes",
    "state copy": "sqlite:keys/state.sqlite3 sqlite:keys/other.sqlite3 --yes",
    "channels list": "",
    "channels show": CHANNEL,
    "channels create": "news",
    "channels protect": CHANNEL,
    "channels unprotect": f"{CHANNEL} --yes",
    "channels delete": f"{CHANNEL} --yes",
    "stream-keys list": "",
    "stream-keys show": STREAM_KEY,
    "stream-keys create": CHANNEL,
    "stream-keys rotate": f"{CHANNEL} --yes",
    "stream-keys delete": f"{STREAM_KEY} --yes",
    "streams list": "",
    "streams show": CHANNEL,
    "streams stop": f"{CHANNEL} --yes",
    "streams put-metadata": f"{CHANNEL} x",
    "tags list": CHANNEL,
    "tags add": f"{CHANNEL} team=video",
    "tags remove": f"{CHANNEL} team",
}
"""A correct use of every other command."""
COMMANDS = {
    called.removeprefix("tokensvc "): command for called, command in commands(cli, "tokensvc")
}


@pytest.fixture
def cut_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A deployment without its state, whose folder can't be made, and without Amazon IVS."""
    (desk.folder / "keys").write_bytes(b"")
    monkeypatch.chdir(desk.folder)
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", f"http://127.0.0.1:{port}")
    return desk


def test_every_command_is_tried() -> None:
    """A new one needs a line above."""
    assert COMMANDS.keys() == USES.keys() | NEEDS_NOTHING


@pytest.mark.parametrize("called", COMMANDS)
def test_wrong_use_ends_with_2(called: str) -> None:
    """An option that does not exist, and an argument too few or too many."""
    arguments = [each for each in COMMANDS[called].params if isinstance(each, click.Argument)]
    uses = [["--no-such-option"]]
    if any(each.required for each in arguments):
        uses.append([])
    if all(each.nargs == 1 for each in arguments):
        uses.append(["x"] * (len(arguments) + 1))
    for words in uses:
        assert CliRunner().invoke(cli, [*called.split(), *words]).exit_code == 2, words


@pytest.mark.parametrize("called", USES)
def test_without_amazon_ivs_and_state_a_command_ends_with_1(cut_off: Desk, called: str) -> None:
    """It has failed, and says so on standard error without a traceback."""
    result = cut_off.run(*called.split(), *USES[called].split())
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
