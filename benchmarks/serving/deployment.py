"""What all servers share: Local IVS with a live private channel, and two imported key pairs.

The service signs with its own key pair. The other servers sign with a key pair of the benchmark.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.serving.failure import BenchmarkFailed
from demo.launcher import servers
from demo.launcher.folder import CHANNEL, REGION, DemoFolder, clean_environment
from demo.launcher.ports import listen
from demo.launcher.preparing import prepare
from demo.launcher.processes import Server
from tokensvc.arns import parse_region
from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.operations import COMMAND_TERMS

PATH = "/v1/playback-urls"
BODY = json.dumps({"channel": CHANNEL, "viewer_id": "viewer-7", "ttl_seconds": 300})
_GRANTED = '"decision":"granted"'
_OK = 200
_REQUEST_SECONDS = 10.0
_START_SECONDS = 30.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Deployment:
    """Local IVS and what a server needs to sign for its channel.

    Attributes:
        folder: the settings, keys, state and logs of the service.
        local_ivs: the running Local IVS.
        api_key: the API key that each request has.
        variables: the environment variables of every server.
    """

    folder: DemoFolder
    local_ivs: Server
    api_key: str
    variables: Mapping[str, str]


def start(path: Path, clock: Clock, stack: ExitStack) -> Deployment:
    """Start Local IVS in that folder, without request rates, and prepare the service.

    This changes the environment of this process, so that it never uses AWS.

    Raises:
        TokensvcError: a step failed.
    """
    folder = DemoFolder(path)
    stack.enter_context(folder.locked())
    environment = clean_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    listener = listen(0, "LOCAL_IVS_PORT", clock)
    local_ivs = stack.enter_context(servers.local_ivs(folder, listener, environment))
    variables = folder.variables(local_ivs.url)
    os.environ.update(variables)
    local_ivs.wait_until_ready("/healthz", clock)
    private_key = folder.path / "benchmark-private-key.pem"
    with closing(AwsClients(COMMAND_TERMS)) as clients:
        # The port is not used: every server gets a listener.
        api_key = prepare(folder, local_ivs.url, 8000, clients, clock)
        client = clients.ivs(parse_region(REGION))
        (found,) = client.list_channels(filterByName=CHANNEL)["channels"]
        channel = client.get_channel(arn=found["arn"])["channel"]
        key = ec.generate_private_key(ec.SECP384R1())
        client.import_playback_key_pair(name="benchmark", publicKeyMaterial=_public_pem(key))
    folder.write(private_key, _private_pem(key))
    return Deployment(
        folder,
        local_ivs,
        api_key,
        {
            **environment,
            **variables,
            "BENCH_API_KEY": api_key,
            "BENCH_CHANNEL_ARN": channel["arn"],
            "BENCH_PLAYLIST_URL": channel["playbackUrl"],
            "BENCH_PRIVATE_KEY": str(private_key),
        },
    )


def check(server: Server, deployment: Deployment, clock: Clock) -> None:
    """Wait until the server answers, and check its token at the edge of Local IVS.

    The edge plays a channel only if the token verifies with an imported public key. It must refuse
    the same token with another signature.

    Raises:
        BenchmarkFailed: the server does not answer, or its token is not valid.
        DemoFailed: the server has stopped.
    """
    url = urlsplit(_first_url(server, deployment.api_key, clock))
    query, signature = url.query.rsplit(".", 1)
    edge = deployment.local_ivs.url
    changed = f"{query}.{signature[::-1]}"
    if _request("GET", edge, f"{url.path}?{url.query}")[0] != _OK:
        raise BenchmarkFailed(f"{server.name}: the token does not verify at Local IVS's edge.")
    if _request("GET", edge, f"{url.path}?{changed}")[0] == _OK:
        raise BenchmarkFailed(f"{server.name}: Local IVS's edge accepts a changed signature.")


def require_audit(server: Server, requests: int) -> None:
    """Check that the server's log has an audit line for each of so many granted URLs.

    Raises:
        BenchmarkFailed: lines are missing.
    """
    with server.log.open() as lines:
        count = sum(_GRANTED in line for line in lines)
    if count < requests:
        raise BenchmarkFailed(f"{server.name}: {requests} URLs, but {count} audit lines.")


def _first_url(server: Server, api_key: str, clock: Clock) -> str:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api_key}"}
    give_up_at = clock.monotonic() + _START_SECONDS
    while True:
        server.require_alive()
        try:
            status, body = _request("POST", server.url, PATH, BODY, headers)
        except OSError:
            status, body = 0, b""
        if status == _OK:
            return str(json.loads(body)["playback_url"])
        if clock.monotonic() > give_up_at:
            raise BenchmarkFailed(f"{server.name} does not return a playback URL ({status}).")
        clock.sleep(_POLL_SECONDS)


def _request(
    method: str, base: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=_REQUEST_SECONDS)
    with closing(connection):
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()


def _public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
