"""`tokensvc demo`, which `make run` calls: real processes, from nothing to a stream that plays."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import urllib3

from tests.e2e.processes import ROOT, Running, running, wait_until_gone

ANY_FREE_PORTS = ("--port", "0", "--local-ivs-port", "0")
WELCOME = "Ctrl-C ends it."


def demo(
    folder: Path, *options: str, log: str = "out", **environment: str
) -> AbstractContextManager[Running]:
    """The demo in that folder."""
    output = folder.parent / f"{log}.txt"
    return running(
        output,
        "demo",
        "--folder",
        str(folder),
        *(options or ANY_FREE_PORTS),
        environment=environment,
    )


def curl_line(said: str) -> str:
    """The one line that asks for a URL."""
    (line,) = [line for line in said.splitlines() if line.startswith("curl ")]
    return line


def answer_to(line: str) -> dict[str, str]:
    """What the service answers to that line, run by a shell as it was printed."""
    bash = ["bash", "-c", line]
    result = subprocess.run(bash, capture_output=True, check=True)
    answer: dict[str, str] = json.loads(result.stdout)
    assert "playback_url" in answer, answer
    return answer


def api_key_in(line: str) -> str:
    """The API key that the line shows."""
    found = re.search(r"tsk_[0-9a-f_]+", line)
    assert found is not None
    return found[0]


def keys_listed_by_its_environment(folder: Path) -> set[str]:
    """The states of the key pairs, in a shell that has sourced the demo's environment."""
    environment = shlex.quote(str(folder / "env"))
    bash = ["bash", "-c", f". {environment} && python -m tokensvc keys list --json"]
    result = subprocess.run(bash, cwd=ROOT, capture_output=True, check=True)
    return {row["state"] for row in json.loads(result.stdout)}


def get(url: str) -> urllib3.BaseHTTPResponse:
    """The answer to a GET."""
    return urllib3.request("GET", url, retries=False, timeout=10)


def test_the_demo_plays_ends_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """From nothing: the line works as printed; after Ctrl-C and kill -9 all is as it was."""
    folder = tmp_path / "demo"

    with demo(folder, log="first") as first:
        line = curl_line(first.wait_for(WELCOME))
        answer = answer_to(line)
        playlist = get(answer["playback_url"])
        assert (playlist.status, playlist.data[:7]) == (200, b"#EXTM3U")
        assert get(answer["playback_url"].partition("?")[0]).status == 403
        page = re.search(r"http://\S+/demo", first.said)
        assert page is not None
        assert get(page[0]).status == 200
        assert keys_listed_by_its_environment(folder) == {"active", "published"}
        assert first.interrupted() == 0
        assert first.said.rstrip().endswith("The demo has ended.")
        assert "Traceback" not in first.said
    wait_until_gone(folder)

    with demo(folder, log="second") as second:
        again = curl_line(second.wait_for(WELCOME))
        assert api_key_in(again) == api_key_in(line)
        same = answer_to(again)
        assert (same["channel_arn"], same["key_id"]) == (answer["channel_arn"], answer["key_id"])
        second.process.kill()
    wait_until_gone(folder)

    with demo(folder, log="third") as third:
        once_more = curl_line(third.wait_for(WELCOME))
        assert api_key_in(once_more) == api_key_in(line)
        same = answer_to(once_more)
        assert (same["channel_arn"], same["key_id"]) == (answer["channel_arn"], answer["key_id"])
        assert get(same["playback_url"]).status == 200
        third.process.send_signal(signal.SIGTERM)
        assert third.ends() == 0
    wait_until_gone(folder)
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert "Traceback" not in logs
    assert "eyJ" not in logs.replace('"token_sha256"', "")
    assert api_key_in(line) not in logs


def test_a_server_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    """Half a demo would puzzle a newcomer: the other server ends too."""
    folder = tmp_path / "demo"
    with demo(folder) as running_demo:
        running_demo.wait_for(WELCOME)
        with demo(folder, log="meanwhile") as meanwhile:
            assert meanwhile.ends() == 1
            assert f"Error: Another demo is running in {folder}." in meanwhile.said
        children = Path(
            f"/proc/{running_demo.process.pid}/task/{running_demo.process.pid}/children"
        )
        service = int(children.read_text().split()[-1])
        os.kill(service, signal.SIGKILL)
        assert running_demo.ends() == 1
        assert "Error: The service has ended (exit status -9)." in running_demo.said
        assert "Traceback" not in running_demo.said
    wait_until_gone(folder)


@pytest.mark.parametrize(
    ("variable", "free"), [("PORT", "LOCAL_IVS_PORT"), ("LOCAL_IVS_PORT", "PORT")]
)
def test_a_port_in_use_is_told_with_the_variable_that_chooses_another(
    tmp_path: Path, variable: str, free: str
) -> None:
    """Before anything is made."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        output = tmp_path / "out.txt"
        arguments = ("demo", "--folder", str(tmp_path / "demo"))
        with running(output, *arguments, environment={variable: port, free: "0"}) as refused:
            assert refused.ends() == 1
            assert f"Port {port} on 127.0.0.1 can't be used" in refused.said
            assert f"{variable}=" in refused.said
            assert "Traceback" not in refused.said
    assert not (tmp_path / "demo/keys").exists()
