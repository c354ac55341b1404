"""Users of an OpenID Connect provider that is not ours, in its own process, and a real service."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import running
from tests.e2e.test_serve import NO_DELAY, address, request_url
from tests.support.webhook_receiver import unused_port

SUBJECT = "ann@example.com"
CLIENT = {"client_id": "web-player", "redirect_uri": "https://app.example.com/callback"}


@contextmanager
def provider(folder: Path, port: int) -> Iterator[str]:
    """The URL of a running provider, which makes a new key at each start."""
    program = (sys.executable, "-m", "oidc_provider_mock")
    output = folder / f"provider-{time.monotonic_ns()}.txt"
    with running(output, "--port", str(port), environment={}, program=program) as process:
        process.wait_for("Uvicorn running")
        yield f"http://127.0.0.1:{port}"


def sign_in(issuer: str) -> str:
    """An ID token of the user, by the authorization code flow."""
    query = {**CLIENT, "response_type": "code", "scope": "openid email", "state": "s"}
    answer = _post(f"{issuer}/oauth2/authorize?{urlencode(query)}", {"sub": SUBJECT})
    (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    form = {**CLIENT, "grant_type": "authorization_code", "code": code, "client_secret": "any"}
    return str(_post(f"{issuer}/oauth2/token", form).json()["id_token"])


def _post(url: str, form: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return urllib3.request(
        "POST", url, body=urlencode(form), headers=headers, redirect=False, retries=False
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    """Return when it is so."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "Timed out."
        time.sleep(0.1)


def test_a_user_of_a_real_provider(
    ivs: LocalIvsServer, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs in; the provider goes down, workers are replaced; it comes back with another key."""
    secret = {"TOKENSVC_VIEWER_IDS__SECRET": bytes(range(32)).hex()}
    monkeypatch.setenv(*next(iter(secret.items())))
    port = unused_port()
    issuer = f'[issuers.main]\nissuer = "http://127.0.0.1:{port}"\ngrants = ["web"]\n'
    site.configure(NO_DELAY + issuer + 'audience = "web-player"\n')
    site.command("keys", "reconcile")
    site.command("viewers", "record-secrets")
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0", **secret)
    with running(tmp_path / "out.txt", "serve", environment=environment) as server:
        url = address(server)
        with provider(tmp_path, port) as issuer_url:
            first = sign_in(issuer_url)
            assert request_url(url, first, channel)[0] == 200

        config = tmp_path / "tokensvc.toml"
        config.write_text(config.read_text() + "[playback]\nttl_seconds = 120\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: request_url(url, first, channel)[1].get("ttl_seconds") == 120)

        with provider(tmp_path, port) as issuer_url:
            second = sign_in(issuer_url)
            site.command("issuers", "refresh", "main")
            wait_until(lambda: request_url(url, first, channel)[0] == 401)
            assert request_url(url, second, channel)[0] == 200
            (listed,) = json.loads(site.command("issuers", "list", "--json"))
            assert len(listed["key_ids"]) == 1

        lines = [json.loads(line) for line in re.findall(r"^\{.*\}$", server.printed, re.MULTILINE)]
        granted = {line["caller_id"] for line in lines if line.get("decision") == "granted"}
        (caller_id,) = granted
        assert re.fullmatch(r"oidc:main:[A-Za-z0-9_-]{40}", caller_id)
        for private in (SUBJECT, first, second, first.split(".")[2]):
            assert private not in server.printed
        assert "Traceback" not in server.printed
