"""`tokensvc demo`, which `make run` runs: real processes, from an empty folder to playback."""

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

from tests.e2e.processes import ROOT, RunningCommand, running, wait_until_stopped

ANY_FREE_PORTS = ("--port", "0", "--local-ivs-port", "0")
LAST_LINE_OF_WELCOME = "Ctrl-C"


def demo(
    folder: Path, *options: str, log: str = "out", **environment: str
) -> AbstractContextManager[RunningCommand]:
    """Run the demo in this folder."""
    output = folder.parent / f"{log}.txt"
    return running(
        output,
        "demo",
        "--folder",
        str(folder),
        *(options or ANY_FREE_PORTS),
        environment=environment,
    )


def curl_line(printed: str) -> str:
    """The line in the demo's output that requests a playback URL."""
    (line,) = [line for line in printed.splitlines() if line.startswith("curl ")]
    return line


def run_curl(line: str) -> dict[str, str]:
    """Run the line in a shell as it was printed, and return the service's response."""
    bash = ["bash", "-c", line]
    result = subprocess.run(bash, capture_output=True, check=True)
    answer: dict[str, str] = json.loads(result.stdout)
    assert "playback_url" in answer, answer
    return answer


def api_key_in(line: str) -> str:
    """The API key in the line."""
    found = re.search(r"tsk_[0-9a-f_]+", line)
    assert found is not None
    return found[0]


def key_states(folder: Path) -> set[str]:
    """The states of the key pairs, listed in a shell that has sourced the demo's environment."""
    environment = shlex.quote(str(folder / "env"))
    bash = ["bash", "-c", f". {environment} && python -m tokensvc keys list --json"]
    result = subprocess.run(bash, cwd=ROOT, capture_output=True, check=True)
    return {row["state"] for row in json.loads(result.stdout)}


def get(url: str) -> urllib3.BaseHTTPResponse:
    """The response to a GET request."""
    return urllib3.request("GET", url, retries=False, timeout=10)


def test_the_demo_plays_and_reuses_its_folder_after_each_stop(tmp_path: Path) -> None:
    """The curl line works as printed. After Ctrl-C and kill -9, channel and keys are the same."""
    folder = tmp_path / "demo"

    with demo(folder, log="first") as first:
        line = curl_line(first.wait_for(LAST_LINE_OF_WELCOME))
        answer = run_curl(line)
        playlist = get(answer["playback_url"])
        assert (playlist.status, playlist.data[:7]) == (200, b"#EXTM3U")
        assert get(answer["playback_url"].partition("?")[0]).status == 403
        page = re.search(r"Watch it: +(http://\S+/demo)\n", first.printed)
        assert page is not None
        assert get(page[1]).status == 200
        assert key_states(folder) == {"active", "published"}
        assert first.interrupt() == 0
        assert "Error" not in first.printed
        assert "Traceback" not in first.printed
    wait_until_stopped(folder)

    with demo(folder, log="second") as second:
        again = curl_line(second.wait_for(LAST_LINE_OF_WELCOME))
        assert api_key_in(again) == api_key_in(line)
        same = run_curl(again)
        assert (same["channel_arn"], same["key_id"]) == (answer["channel_arn"], answer["key_id"])
        second.process.kill()
    wait_until_stopped(folder)

    with demo(folder, log="third") as third:
        once_more = curl_line(third.wait_for(LAST_LINE_OF_WELCOME))
        assert api_key_in(once_more) == api_key_in(line)
        same = run_curl(once_more)
        assert (same["channel_arn"], same["key_id"]) == (answer["channel_arn"], answer["key_id"])
        assert get(same["playback_url"]).status == 200
        third.process.send_signal(signal.SIGTERM)
        assert third.wait() == 0
    wait_until_stopped(folder)
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert "Traceback" not in logs
    assert "eyJ" not in logs.replace('"token_sha256"', "")
    assert api_key_in(line) not in logs


def test_a_server_that_is_killed_stops_the_demo_and_a_second_demo_is_refused(
    tmp_path: Path,
) -> None:
    """The other server stops too. The error has the exit status and the server's log file."""
    folder = tmp_path / "demo"
    with demo(folder) as running_demo:
        running_demo.wait_for(LAST_LINE_OF_WELCOME)
        with demo(folder, log="second") as second:
            assert second.wait() == 1
            (error,) = re.findall(r"^Error: .*$", second.printed, re.MULTILINE)
            assert str(folder) in error
            assert "--folder" in second.printed
        children = Path(
            f"/proc/{running_demo.process.pid}/task/{running_demo.process.pid}/children"
        )
        service = int(children.read_text().split()[-1])
        os.kill(service, signal.SIGKILL)
        assert running_demo.wait() == 1
        (error,) = re.findall(r"^Error: .*$", running_demo.printed, re.MULTILINE)
        assert "service" in error
        assert "-9" in error
        assert str(folder / "service.log") in running_demo.printed.partition(error)[2]
        assert "Traceback" not in running_demo.printed
    wait_until_stopped(folder)


@pytest.mark.parametrize(
    ("variable", "free"), [("PORT", "LOCAL_IVS_PORT"), ("LOCAL_IVS_PORT", "PORT")]
)
def test_a_port_in_use_is_reported_with_the_variable_that_chooses_another_port(
    tmp_path: Path, variable: str, free: str
) -> None:
    """Before anything is created."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        output = tmp_path / "out.txt"
        arguments = ("demo", "--folder", str(tmp_path / "demo"))
        with running(output, *arguments, environment={variable: port, free: "0"}) as refused:
            assert refused.wait() == 1
            (error,) = re.findall(r"^Error: .*$", refused.printed, re.MULTILINE)
            assert port in error
            assert "127.0.0.1" in error
            assert f"{variable}=" in refused.printed
            assert "Traceback" not in refused.printed
    assert not (tmp_path / "demo/keys").exists()
