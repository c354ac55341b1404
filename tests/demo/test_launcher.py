"""`python -m demo`, which `make run` runs: real processes, from an empty folder to playback."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import urllib3

from tests.demo.running_demo import (
    ANY_FREE_PORTS,
    LAST_LINE_OF_WELCOME,
    PROGRAM,
    curl_line,
    page_address,
    running_demo,
)
from tests.e2e.processes import (
    ROOT,
    TIMEOUT_SECONDS,
    RunningCommand,
    command_lines,
    wait_until_stopped,
)

# In the order in which the launcher starts them.
SERVERS = {
    "Local IVS": "local-ivs.log",
    "identity provider": "issuer.log",
    "service": "service.log",
    "backend": "backend.log",
    "end-due": "end-due.log",
}
PORT_VARIABLES = ("PORT", "LOCAL_IVS_PORT", "DEMO_PORT", "ISSUER_PORT")
# A port on which no program listens.
UNREACHABLE_PROXY = "http://127.0.0.1:9"
PROXY_VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY")
PROXIES = dict.fromkeys(PROXY_VARIABLES, UNREACHABLE_PROXY)


def run_curl(line: str, **environment: str) -> dict[str, str]:
    """Run the line in a shell as it was printed, and return the service's response."""
    bash = ["bash", "-c", line]
    result = subprocess.run(bash, env=os.environ | environment, capture_output=True, check=True)
    answer: dict[str, str] = json.loads(result.stdout)
    assert "playback_url" in answer, answer
    return answer


def api_key_in(line: str) -> str:
    """The API key in the line."""
    found = re.search(r"tsk_[0-9a-f_]+", line)
    assert found is not None
    return found[0]


def key_states(folder: Path, **environment: str) -> set[str]:
    """The states of the key pairs, listed in a shell that has sourced the demo's environment."""
    sourced = shlex.quote(str(folder / "env"))
    bash = ["bash", "-euc", f". {sourced} && tokensvc keys list --json"]
    result = subprocess.run(
        bash, cwd=ROOT, env=os.environ | environment, capture_output=True, check=True
    )
    return {row["state"] for row in json.loads(result.stdout)}


def get(url: str) -> urllib3.BaseHTTPResponse:
    """The response to a GET request."""
    return urllib3.request("GET", url, retries=False, timeout=10)


def error_in(output: str) -> str:
    """The only error in the output."""
    (error,) = re.findall(r"^Error: .*$", output, re.MULTILINE)
    assert "Traceback" not in output
    return str(error)


def servers_of(demo: RunningCommand) -> dict[str, int]:
    """The process IDs of the servers, which are the child processes of the launcher."""
    pid = demo.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return dict(zip(SERVERS, map(int, children), strict=True))


def kill_while_it_prepares(folder: Path) -> None:
    """Kill a launcher that has started Local IVS. It leaves no server."""
    with running_demo(folder, log="killed") as killed:
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not (folder / "tokensvc.toml").exists():
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        assert any("local_ivs" in line for line in command_lines(folder))
        killed.process.kill()
    wait_until_stopped(folder)


def test_the_demo_plays_and_reuses_its_folder_after_each_stop(tmp_path: Path) -> None:
    """The curl line works as printed. After Ctrl-C and kill -9, channel and keys are the same.

    The first start continues what a launcher has begun that was killed while it prepared.
    """
    folder = tmp_path / "demo"
    kill_while_it_prepares(folder)

    with running_demo(folder, log="first") as first:
        line = curl_line(first.wait_for(LAST_LINE_OF_WELCOME))
        answer = run_curl(line)
        playlist = get(answer["playback_url"])
        assert (playlist.status, playlist.data[:7]) == (200, b"#EXTM3U")
        assert get(answer["playback_url"].partition("?")[0]).status == 403
        assert get(page_address(first.printed)).status == 200
        assert key_states(folder) == {"active", "published"}
        assert first.interrupt() == 0
        assert "Error" not in first.printed
        assert "Traceback" not in first.printed
    wait_until_stopped(folder)

    with running_demo(folder, log="second") as second:
        again = curl_line(second.wait_for(LAST_LINE_OF_WELCOME))
        assert api_key_in(again) == api_key_in(line)
        same = run_curl(again)
        assert (same["channel_arn"], same["key_id"]) == (answer["channel_arn"], answer["key_id"])
        second.process.kill()
    wait_until_stopped(folder)

    with running_demo(folder, log="third") as third:
        once_more = curl_line(third.wait_for(LAST_LINE_OF_WELCOME))
        assert api_key_in(once_more) == api_key_in(line)
        same = run_curl(once_more)
        assert (same["channel_arn"], same["key_id"]) == (answer["channel_arn"], answer["key_id"])
        assert get(same["playback_url"]).status == 200
        third.process.send_signal(signal.SIGTERM)
        assert third.wait() == 0
    wait_until_stopped(folder)
    assert {path.name for path in folder.glob("*.log")} == set(SERVERS.values())
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert "Traceback" not in logs
    assert "eyJ" not in logs.replace('"token_sha256"', "")
    assert api_key_in(line) not in logs


@pytest.mark.parametrize("name", ["Local IVS", "service", "end-due"])
def test_a_server_that_is_killed_stops_the_demo(tmp_path: Path, name: str) -> None:
    """The other servers stop too. The error has the exit status and the server's log file."""
    folder = tmp_path / "demo"
    with running_demo(folder) as demo:
        demo.wait_for(LAST_LINE_OF_WELCOME)
        os.kill(servers_of(demo)[name], signal.SIGKILL)
        assert demo.wait() == 1
        error = error_in(demo.printed)
        assert name in error
        assert "-9" in error
        assert str(folder / SERVERS[name]) in demo.printed.partition(error)[2]
    wait_until_stopped(folder)


def test_settings_of_other_programs_and_proxies_in_the_environment_are_not_used(
    tmp_path: Path,
) -> None:
    """The demo uses its own account, service and API key only, and what it prints works.

    That is the page, the line of curl, and `tokensvc` in a shell. A second demo in the same folder
    is refused meanwhile.
    """
    folder = tmp_path / "demo"
    others = {
        "AWS_ENDPOINT_URL_IVS": UNREACHABLE_PROXY,
        "AWS_PROFILE": "no-such-profile",
        "TOKENSVC_CONFIG": "/no-such-file",
        "GUNICORN_CMD_ARGS": "--no-such-option",
        "LOCAL_IVS_THROTTLE": "no-such-value",
        "DEMO_API_KEY": "tsk_other",
        "DEMO_SERVICE_URL": UNREACHABLE_PROXY,
        "FLASK_DEBUG": "1",
    }
    with running_demo(folder, *ANY_FREE_PORTS, **PROXIES, **others) as demo:
        printed = demo.wait_for(LAST_LINE_OF_WELCOME)
        with running_demo(folder, log="second") as second:
            assert second.wait() == 1
            assert str(folder) in error_in(second.printed)
            assert "--folder" in second.printed
        answer = run_curl(curl_line(printed), **PROXIES)
        assert get(answer["playback_url"]).status == 200
        page = page_address(printed)
        response = urllib3.request(
            "POST", f"{page}playback-urls", json={}, headers={"Origin": page.rstrip("/")}
        )
        assert response.status == 200
        assert key_states(folder, **PROXIES) == {"active", "published"}
        assert demo.interrupt() == 0
    wait_until_stopped(folder)


def test_the_servers_stop_when_the_terminal_is_closed(tmp_path: Path) -> None:
    """The terminal's processes get SIGHUP, and can't print any more."""
    folder = tmp_path / "demo"
    terminal, device = pty.openpty()
    output = tmp_path / "out.txt"
    # `setsid` and the first terminal that is opened: like a new terminal window.
    shell = f"exec <{os.ttyname(device)} >{os.ttyname(device)} 2>&1; exec {shlex.join(PROGRAM)}"
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"{shell} {shlex.join(['--folder', str(folder), *ANY_FREE_PORTS])}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        start_new_session=True,
    )
    try:
        for text in _printed_on(terminal):
            output.write_text(text)
            if LAST_LINE_OF_WELCOME in text:
                break
        # Only now: a terminal that no process has open yet can't be read.
        os.close(device)
        os.close(terminal)
        assert process.wait(TIMEOUT_SECONDS) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()
    wait_until_stopped(folder)


def _printed_on(terminal: int) -> Iterator[str]:
    """What has been printed so far, each time when there is more."""
    printed = ""
    while read := os.read(terminal, 4096):
        printed += read.decode()
        yield printed


def test_a_port_in_use_is_reported_with_the_variable_that_chooses_another_port(
    tmp_path: Path,
) -> None:
    """Before anything is created. Three demos wait together for a port that is not freed."""
    with ExitStack() as stack:
        other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = str(other.getsockname()[1])
        refused = {}
        for variable in PORT_VARIABLES:
            folder = tmp_path / variable / "demo"
            folder.parent.mkdir()
            environment = dict.fromkeys(PORT_VARIABLES, "0") | {variable: port}
            refused[variable] = stack.enter_context(
                running_demo(folder, "--folder", str(folder), **environment)
            )
        for variable, demo in refused.items():
            assert demo.wait() == 1
            error = error_in(demo.printed)
            assert port in error
            assert "127.0.0.1" in error
            (suggested,) = re.findall(rf"`{variable}=([0-9]+) make run`", demo.printed)
            assert 0 < int(suggested) < 65_536
            assert suggested != port
            assert [path.name for path in (tmp_path / variable / "demo").iterdir()] == ["lock"]
