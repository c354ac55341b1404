"""A path prefix, of the settings or of a trusted proxy."""

from __future__ import annotations

import ipaddress

import pytest
from flask.testing import FlaskClient
from werkzeug.test import create_environ

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem
from tokensvc.net import Network
from tokensvc.web.front import call

LOOPBACK: Network = ipaddress.ip_network("127.0.0.0/8")
PROXY = {"REMOTE_ADDR": "127.0.0.1"}
CLIENT = {"REMOTE_ADDR": "198.51.100.7"}


def client_of(
    deployment: Deployment, *, root_path: str = "", trusted: tuple[Network, ...] = ()
) -> FlaskClient:
    """A client of the service with these settings."""
    service = deployment.service_with(root_path=root_path, trusted_proxies=trusted)
    return deployment.client_of(service)


def status_of(
    deployment: Deployment,
    client: FlaskClient,
    path: str,
    environ: dict[str, str] = CLIENT,
    **headers: str,
) -> int:
    """The status of a request for a playback URL at this path."""
    response = client.post(
        path,
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {deployment.key}", **headers},
        environ_overrides=environ,
    )
    if response.status_code != 200:
        assert_problem(response, "not_found")
    return response.status_code


@pytest.mark.parametrize("path", ["/v1/playback-urls", "/api/video/v1/playback-urls"])
def test_the_prefix_of_the_settings_may_be_there_or_not(deployment: Deployment, path: str) -> None:
    """A proxy may remove it or leave it, and a probe does not come through the proxy."""
    client = client_of(deployment, root_path="/api/video")
    assert status_of(deployment, client, path) == 200
    assert client.get(path.replace("/v1/playback-urls", "/healthz")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/playback-urls",
        "/api/video/api/video/v1/playback-urls",
        "/api/videos/v1/playback-urls",
        "/v1/api/video/playback-urls",
        "/api/video",
    ],
)
def test_another_prefix_is_not_found(deployment: Deployment, path: str) -> None:
    """Part of it, twice, or a longer name."""
    client = client_of(deployment, root_path="/api/video")
    assert status_of(deployment, client, path) == 404


def script_name_of(client: FlaskClient, peer: dict[str, str], prefix: str) -> str:
    """`SCRIPT_NAME` in the environ of a request with X-Forwarded-Prefix."""
    headers = {"X-Forwarded-Prefix": prefix}
    environ = create_environ("/healthz", headers=headers, environ_overrides=peer)
    assert call(client.application, environ).status == 200
    return str(environ["SCRIPT_NAME"])


def test_a_trusted_proxy_may_name_the_prefix_that_it_has_removed(deployment: Deployment) -> None:
    """It replaces the one of the settings. With a final slash it is the same prefix."""
    client = client_of(deployment, root_path="/video", trusted=(LOOPBACK,))
    assert script_name_of(client, PROXY, "/api") == "/api"
    assert script_name_of(client, PROXY, "/api/") == "/api"


@pytest.mark.parametrize("prefix", ["api", "/../api", "/.", "/api//v1", "/api?x", "//e.com", "/"])
def test_a_prefix_that_is_not_a_path_is_ignored(deployment: Deployment, prefix: str) -> None:
    """Even of a trusted proxy, which may pass on what it got."""
    client = client_of(deployment, root_path="/video", trusted=(LOOPBACK,))
    assert script_name_of(client, PROXY, prefix) == "/video"


@pytest.mark.parametrize("trusted", [(), (LOOPBACK,)])
def test_a_client_can_not_name_the_prefix(
    deployment: Deployment, trusted: tuple[Network, ...]
) -> None:
    """Neither without trusted proxies nor from another network; nor with its own SCRIPT_NAME."""
    client = client_of(deployment, trusted=trusted)
    assert script_name_of(client, CLIENT, "/api") == ""
    for name in ("X-Forwarded-Prefix", "Script-Name"):
        named = {name: "/api"}
        assert status_of(deployment, client, "/api/v1/playback-urls", CLIENT, **named) == 404
        assert status_of(deployment, client, "/v1/playback-urls", CLIENT, **named) == 200


def test_a_proxy_that_passes_on_a_prefix_opens_no_other_path(deployment: Deployment) -> None:
    """The client sent the prefix, and hopes that the proxy lets paths below it through."""
    client = client_of(deployment, root_path="/video", trusted=(LOOPBACK,))
    named = {"X-Forwarded-Prefix": "/api"}
    assert status_of(deployment, client, "/api/v1/playback-urls", PROXY, **named) == 404
    assert status_of(deployment, client, "/video/v1/playback-urls", PROXY, **named) == 200
    assert status_of(deployment, client, "/v1/playback-urls", PROXY, **named) == 200


def test_a_request_that_comes_again_keeps_its_path(deployment: Deployment) -> None:
    """A request that must wait is called twice with one environ."""
    application = client_of(deployment, root_path="/video").application
    environ = create_environ("/video/video/healthz")
    for _ in range(2):
        assert call(application, environ).status == 404
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/video", "/video/healthz")
