"""Countries over HTTP: the header of the proxy for users, the request of a backend."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from flask.testing import FlaskClient

from tests.support.deployment import Deployment
from tests.support.oidc_deployment import SINGLE, OidcDeployment, oidc_deployment
from tests.support.serving import serving
from tests.web.problem_shape import assert_problem
from tokensvc.access.client_countries import ClientCountries
from tokensvc.service import Service
from tokensvc.web.app import create_app

SECRET = 32 * "s"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
BATCH = "/v1/playback-urls:batch"


@pytest.fixture
def oidc(shared: Deployment) -> Iterator[OidcDeployment]:
    """The shared deployment with users who may watch in Germany only."""
    shared.create_app = create_app
    shared.read_state_again()
    shared.service.clock_watch.look()
    shared.audit.events.clear()
    with oidc_deployment(shared, grants=("germany",)) as made:
        yield made


@pytest.fixture
def service(oidc: OidcDeployment) -> Service:
    """The service behind a proxy on loopback that names the country."""
    countries = ClientCountries("X-Country", "X-Origin-Secret", [SECRET], LOOPBACK)
    return oidc.deployment.service_with(oidc=oidc.callers, client_countries=countries)


@pytest.fixture
def client(oidc: OidcDeployment, service: Service) -> FlaskClient:
    """A client with the token of a user."""
    client = oidc.deployment.client_of(service)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {oidc.token()}"
    return client


def headers(country: str = "DE", secret: str = SECRET) -> dict[str, str]:
    """The headers that the proxy adds."""
    return {"X-Country": country, "X-Origin-Secret": secret}


def rule(document: dict[str, Any]) -> str:
    """The rule of the only error of a refusal."""
    (error,) = document["errors"]
    return str(error["rule"])


def test_the_country_of_a_user_is_in_the_header_of_the_proxy(
    oidc: OidcDeployment, client: FlaskClient
) -> None:
    """It is audited."""
    assert client.post(SINGLE, json={"channel": "demo"}, headers=headers()).status_code == 200
    refused = client.post(SINGLE, json={"channel": "demo"}, headers=headers("FR"))
    assert rule(assert_problem(refused, "country_not_allowed")) == "country_not_granted"
    granted, refusal = oidc.deployment.audit.events
    assert (granted.country, granted.rule) == ("DE", None)
    assert (refusal.country, refusal.rule) == ("FR", "country_not_granted")


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        ({}, "127.0.0.1"),
        (headers(secret="wrong"), "127.0.0.1"),
        ({"X-Country": "DE"}, "127.0.0.1"),
        (headers(), "192.0.2.1"),
        ({**headers(), "X-Forwarded-For": "127.0.0.1"}, "192.0.2.1"),
    ],
)
def test_a_header_that_a_client_adds_does_not_count(
    client: FlaskClient, sent: dict[str, str], address: str
) -> None:
    """Without the secret, or past the proxy."""
    response = client.post(
        SINGLE,
        json={"channel": "demo"},
        headers=sent,
        environ_overrides={"REMOTE_ADDR": address},
    )
    assert rule(assert_problem(response, "country_not_allowed")) == "country_unknown"


def test_a_user_can_not_name_the_country(client: FlaskClient) -> None:
    """Also beside the header."""
    body = {"channel": "demo", "viewer_country": "DE"}
    response = client.post(SINGLE, json=body, headers=headers())
    assert rule(assert_problem(response, "invalid_request")) == "viewer_country_not_accepted"


def test_the_header_of_a_backend_is_not_used(oidc: OidcDeployment, service: Service) -> None:
    """It would have the country of the backend. The request names that of the viewer."""
    key = oidc.deployment.new_key("germany backend", "germany")
    client = oidc.deployment.client_of(service)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    response = client.post(SINGLE, json={"channel": "demo"}, headers=headers())
    assert rule(assert_problem(response, "country_not_allowed")) == "country_unknown"
    body = {"channel": "demo", "viewer_country": "DE"}
    assert client.post(SINGLE, json=body, headers=headers("FR")).status_code == 200


def test_the_country_counts_for_each_request_of_a_batch(client: FlaskClient) -> None:
    """It is that of the client who sent the batch."""
    body = {"requests": [{"channel": "demo"}, {"channel": "demo", "viewer_country": "DE"}]}
    first, second = client.post(BATCH, json=body, headers=headers()).get_json()["results"]
    assert first["token"]
    assert rule(second) == "viewer_country_not_accepted"
    first, _ = client.post(BATCH, json=body, headers=headers("FR")).get_json()["results"]
    assert rule(first) == "country_not_granted"


def test_the_header_counts_over_a_real_connection(oidc: OidcDeployment, service: Service) -> None:
    """From the address of the peer, and not when it is sent twice."""
    http = urllib3.PoolManager()
    with serving(oidc.deployment.create_app(service)) as url:

        def code(*more: tuple[str, str]) -> str:
            fields = urllib3.HTTPHeaderDict({"Authorization": f"Bearer {oidc.token()}"})
            for name, value in (*headers().items(), *more):
                fields.add(name, value)
            response = http.request(
                "POST", f"{url}{SINGLE}", json={"channel": "demo"}, headers=fields, retries=False
            )
            return str(response.json().get("code", ""))

        assert code() == ""
        assert code(("X-Country", "DE")) == "country_not_allowed"
        assert code(("X-Origin-Secret", "wrong")) == "country_not_allowed"
    http.clear()
