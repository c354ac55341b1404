"""A whole service, with every feature that handles a secret: none of them is in any log or trace.

The log is everything that the service writes, at the level debug, and what commands write on
standard error. The traces are what a collector receives.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import urllib3
from click.testing import CliRunner
from local_ivs.testing import LocalIvsServer

from tests.e2e.conftest import Site
from tests.e2e.processes import RunningCommand, running
from tests.e2e.test_serve import address
from tests.support.issuer_server import IssuerServer, issuer_server
from tests.support.oidc_tokens import signing_key
from tests.support.trace_collector import received_spans, received_text
from tests.support.webhook_receiver import SECRET as HOOK_SECRET
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver
from tokensvc.cli.main import cli

SUBJECT = "ann.very-private@example.com"
VIEWER_SECRET = base64.b64encode(bytes(range(100, 132))).decode()
PROXY_SECRET = "p" * 40 + "roxy"
KEY = signing_key("ES256", "key-1")
OTHER_KEY = signing_key("ES256", "key-2")
SETTINGS = """
[rotation]
publish_delay_seconds = 0
state_refresh_seconds = 1
[service]
workers = 1
log_level = "debug"
trusted_proxies = ["127.0.0.0/8"]
[viewer_ids]
secret_file = "viewer-id-secret"
[viewer_country]
header = "CloudFront-Viewer-Country"
secret_header = "X-Origin-Secret"
secret_file = "origin-secret"
[entitlement]
url = "{hook}"
secret_file = "hook-secret"
[tracing]
endpoint = "{collector}"
[issuers.main]
issuer = "{issuer}"
audience = ["tokensvc"]
grants = ["users"]
[grants.users]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
viewer_id = "from-identity"
when = {{ groups = "members" }}
countries = ["DE"]
entitlement = true
[grants.backend]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
entitlement = true
"""
ALLOW = b'{"decision": "allow"}'
DENY = b'{"decision": "deny", "reason": "No subscription."}'


@dataclass
class Run:
    """A running service, what it may not log, and what commands wrote on standard error.

    Attributes:
        site: its folder.
        url: its address.
        channel: the ARN of a private channel.
        hook: the entitlement hook.
        issuer: the issuer of its users.
        collector: what receives its traces.
        secrets: what no log may have, by what it is.
        errors: the standard error of each command.
    """

    site: Site
    channel: str
    hook: WebhookReceiver
    issuer: IssuerServer
    collector: WebhookReceiver
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def command(self, *arguments: str, status: int = 0) -> str:
        """Run `tokensvc`, and return what it prints on standard output."""
        config = ("--config", str(self.site.folder / "tokensvc.toml"))
        result = CliRunner().invoke(cli, [*config, *arguments], catch_exceptions=False)
        assert result.exit_code == status, result.output
        self.errors.append(result.stderr)
        return result.stdout.strip()

    def post(
        self,
        path: str,
        credentials: str,
        body: object,
        status: int,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer to a request, which must have that status."""
        fields = {"Authorization": f"Bearer {credentials}", **(headers or {})}
        answer = urllib3.request(
            "POST", self.url + path, json=body, headers=fields, retries=False, timeout=30
        )
        assert answer.status == status, answer.data
        document: dict[str, Any] = answer.json()
        if token := document.get("token"):
            self.secrets[f"playback token {len(self.secrets)}"] = token
        return document

    def mint(
        self, credentials: str, status: int, country: str | None = None, **body: object
    ) -> dict[str, Any]:
        """The answer to a request for a playback URL."""
        proxy = {"CloudFront-Viewer-Country": country, "X-Origin-Secret": PROXY_SECRET}
        headers = {name: value for name, value in proxy.items() if value and country}
        body = {"channel": self.channel, **body}
        return self.post("/v1/playback-urls", credentials, body, status, headers)

    def token(self, key: Any = KEY, **claims: object) -> str:
        """A token of the user, or one with these claims, which is a secret from now on."""
        now = int(time.time())
        usual = {"sub": SUBJECT, "iat": now, "exp": now + 600, "groups": ["members"]}
        token = self.issuer.token(key, **{**usual, **claims})
        self.secrets[f"token of the issuer {len(self.secrets)}"] = token
        return token


@contextmanager
def run_in(site: Site, ivs: LocalIvsServer) -> Iterator[Run]:
    """A run whose service is not started yet."""
    channel = ivs.client().create_channel(authorized=True)["channel"]["arn"]
    with issuer_server(KEY) as issuer, webhook_receiver() as hook, webhook_receiver() as collector:
        hook.otherwise = ALLOW
        collector.otherwise = 200
        urls = {"hook": hook.url, "issuer": issuer.url, "collector": collector.url}
        site.configure(SETTINGS.format(**urls))
        texts = {
            "viewer-id-secret": VIEWER_SECRET,
            "origin-secret": PROXY_SECRET,
            "hook-secret": HOOK_SECRET,
        }
        for name, text in texts.items():
            (site.folder / name).write_text(f"{text}\n")
        run = Run(site, channel, hook, issuer, collector, secrets={**texts, "subject": SUBJECT})
        run.secrets["path of the hook"] = urlsplit(hook.url).path
        yield run


def refused_sign_ins(run: Run, key: str) -> None:
    """Credentials that are wrong, expired, in the wrong place, or in a malformed request."""
    run.mint(run.token(OTHER_KEY), 401)
    run.mint(run.token(exp=1), 401)
    run.mint(run.token(aud="another"), 401)
    run.mint(run.token()[:-4], 401)
    run.mint(f"{key[:-1]}0" if key[-1] != "0" else f"{key[:-1]}1", 401)
    token = run.token()
    run.post(f"/v1/playback-urls/{token}?access_token={token}&key={key}", key, {}, 404)
    run.mint(key, 400, channel=token)
    run.secrets["token that was cut"] = token[:128]  # The longest channel.
    run.mint(key, 403, channel=token[:128])
    run.mint(key, 403, channel=key)
    body = {"channel": run.channel}
    run.post("/v1/playback-urls", key, body, 200, {"X-Request-Id": key, "User-Agent": token})
    run.post("/v1/playback-urls", key, {token: SUBJECT}, 400)
    host, port = run.url.removeprefix("http://").split(":")
    for line in (f"GET /{token} HTTP/9.9", f"Bearer {key}", f"GET / HTTP/1.1\r\n{token}"):
        with socket.create_connection((host, int(port)), timeout=30) as raw:
            raw.sendall(f"{line}\r\n\r\n".encode())
            assert b" 4" in raw.recv(4096)


def decisions(run: Run, key: str) -> None:
    """Requests that are granted, and that each rule refuses."""
    user = run.token()
    first = run.mint(user, 200, "DE")
    run.mint(user, 200, "DE", refresh_of=first["token"])
    run.mint(user, 400, "DE", refresh_of=run.token())
    run.mint(user, 403, "FR")
    run.mint(user, 403)  # No header of the proxy.
    spoofed = {"CloudFront-Viewer-Country": "DE", "X-Origin-Secret": PROXY_SECRET[:-1]}
    run.post("/v1/playback-urls", user, {"channel": run.channel}, 403, spoofed)
    underscores = {"CloudFront_Viewer_Country": "DE", "X_Origin_Secret": PROXY_SECRET}
    run.post("/v1/playback-urls", user, {"channel": run.channel}, 403, underscores)
    run.mint(user, 400, "DE", viewer_country="DE")
    run.mint(user, 403, "DE", viewer_id=SUBJECT)
    run.mint(run.token(groups=["others"]), 403, "DE")
    run.mint(key, 400, viewer_id=SUBJECT)
    run.hook.behaviors = [DENY, b"not JSON", 500]
    run.mint(key, 403, viewer_id="v1")
    run.mint(key, 503, viewer_id="v1")
    run.mint(key, 503, viewer_id="v1")
    items = {"requests": [{"channel": run.channel, "viewer_id": "v2"}, {"channel": user}]}
    results = run.post("/v1/playback-urls:batch", key, items, 200)["results"]
    run.secrets["playback token of a batch"] = results[0]["token"]


def operators(run: Run, moderator: str, operator: str) -> None:
    """What moderators and operators do, over HTTP and on the command line."""
    token = run.token()
    banned = {
        "issuer": run.issuer.url,
        "subject": SUBJECT,
        "channel": run.channel,
        "ban_seconds": 60,
    }
    run.post("/v1/viewer-session-revocations", moderator, banned, 202)
    run.post("/v1/viewer-session-revocations", run.token(), banned, 403)
    run.post("/v1/tokens:inspect", operator, {"token": token}, 200)
    run.command("viewers", "id", run.issuer.url, SUBJECT)
    user = ("--issuer", run.issuer.url, "--subject", SUBJECT)
    run.command("viewers", "revoke", run.channel, *user, "--ban", "1m")
    claim = ("--claim", f"sub={SUBJECT}", "--claim", "groups=members")
    explain = ("grants", "explain", "--issuer", "main", "--channel", run.channel)
    run.command(*explain, *claim, "--country", "DE")
    signed = run.command("tokens", "sign", run.channel, "--grant", "backend", "--viewer-id", "v3")
    run.secrets["playback token of a command"] = signed.partition("token=")[2]
    run.command(
        "tokens", "sign", run.channel, "--grant", "backend", "--viewer-id", SUBJECT, status=1
    )
    run.command("tokens", "inspect", token, status=1)
    run.command("api-keys", "revoke", moderator, "--yes", status=1)
    answer = urllib3.request(
        "GET", f"{run.url}/metrics?{quote(token)}", headers={"Authorization": f"Bearer {operator}"}
    )
    assert answer.status in {200, 404}


def logs(run: Run, server: RunningCommand) -> str:
    """Everything that was logged."""
    return server.printed + "\n".join(run.errors)


def forms(secret: str) -> Iterator[str]:
    """The secret, and the forms in which a log might have it."""
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield json.dumps(secret)[1:-1]
    for part in re.split(r"[._]", secret):  # The parts of a token or an API key.
        if len(part) >= 40:
            yield part


def test_no_secret_is_in_any_log_or_trace(
    ivs: LocalIvsServer, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens, API keys, secrets, and the subject of a user, who is named by a viewer ID."""
    monkeypatch.delenv("TOKENSVC_CONFIG", raising=False)
    with run_in(site, ivs) as run:
        run.command("keys", "reconcile")
        run.command("viewers", "record-secrets")
        grants = ("--grant", "backend")
        key = run.command("api-keys", "create", "site", *grants)
        moderator = run.command("api-keys", "create", "mod", *grants, "--scope", "moderate")
        operator = run.command("api-keys", "create", "op", *grants, "--scope", "operate")
        run.secrets |= {"API key": key, "moderator's key": moderator, "operator's key": operator}
        run.secrets["key-encryption secret"] = bytes(range(32)).hex()
        environment = site.environment(GUNICORN_CMD_ARGS="--bind=127.0.0.1:0")
        with running(tmp_path / "out.txt", "serve", environment=environment) as server:
            run.url = address(server)
            decisions(run, key)
            operators(run, moderator, operator)
            run.mint(run.token(), 403, "DE")  # Banned now.
            refused_sign_ins(run, key)
            server.process.send_signal(signal.SIGTERM)
            assert server.wait() == 0
        logged = logs(run, server)
        audited = [json.loads(line) for line in re.findall(r'^\{"at".*\}$', logged, re.MULTILINE)]

        # The log that is searched is the right one.
        assert {line.get("rule") for line in audited} >= {
            "country_not_granted",
            "country_unknown",
            "entitlement_hook",
            "grant_conditions",
            "viewer_country_not_accepted",
            "viewer_id_of_another",
        }
        assert {line.get("code") for line in audited} >= {
            "",
            "entitlement_unavailable",
            "unauthenticated",
            "viewer_banned",
        }
        viewer_id = run.command("viewers", "id", run.issuer.url, SUBJECT)
        assert any(line.get("caller_id") == f"oidc:main:{viewer_id}" for line in audited)
        assert "tokensvc.access" in logged
        names = {span.name for span in received_spans(run.collector.messages)}
        assert names >= {"ivs.GetChannel", "ask entitlement hook", "POST", "sign"}

        traced = received_text(run.collector.messages)
        found = {
            name
            for name, secret in run.secrets.items()
            if any(form in logged or form in traced for form in forms(secret))
        }
        assert found == set()
        assert viewer_id not in traced  # The log has it.
