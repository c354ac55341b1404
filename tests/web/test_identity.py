"""Who may call: the API key in `Authorization`, and the audit of those who may not."""

from __future__ import annotations

import ipaddress
import re

import pytest

from tests.support.deployment import Deployment
from tests.support.documents import save_next
from tests.web.problem_shape import assert_problem
from tokensvc.access.api_keys import ApiKeys, as_restored
from tokensvc.audit import AuditEvent
from tokensvc.waiting import no_waiting


@pytest.mark.parametrize("more", ["\xa0", "\x85", "\x1c", "\x1f", "\xad", "\xff"])
def test_an_api_key_is_compared_as_it_was_sent(deployment: Deployment, more: str) -> None:
    """No blank, control character or other byte before or after it is ignored."""
    for text in (f"{deployment.key}{more}", f"{more}{deployment.key}"):
        environ = {"HTTP_AUTHORIZATION": f"Bearer {text}"}
        response = deployment.client().post(
            "/v1/playback-urls", json={"channel": "demo"}, environ_overrides=environ
        )
        assert_problem(response, "unauthenticated")


PUBLIC_AND_SLOW = {"/openapi.json", "/docs/<name>"}


def test_a_client_without_a_key_takes_no_thread(deployment: Deployment) -> None:
    """It is refused on the event loop, so that no flood of such requests keeps others waiting."""
    app = deployment.create_app(deployment.service_with_ops_page())
    refused = set()
    for rule in app.url_map.iter_rules():
        if rule.rule in PUBLIC_AND_SLOW:
            continue
        path = re.sub("<[a-z_]+>", "any", rule.rule)
        (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        with no_waiting():  # Raises MustWait where a thread would be needed.
            status = app.test_client().open(path, method=method).status_code
        if status == 401:
            refused.add(rule.rule)
    assert refused == {
        "/v1/bans",
        "/v1/bans/<ban_id>",
        "/v1/keys",
        "/v1/ops",
        "/v1/playback-urls",
        "/v1/playback-urls:batch",
        "/v1/tokens:inspect",
        "/v1/viewer-session-revocations",
    }


# --- Refused sign-ins


@pytest.mark.parametrize("authorization", [None, "Basic abc", "Bearer tsk_wrong"])
@pytest.mark.parametrize("path", ["/v1/playback-urls", "/v1/playback-urls:batch"])
def test_a_refused_sign_in_is_audited(
    own_deployment: Deployment, path: str, authorization: str | None
) -> None:
    """With the time, the client's address and the request ID, and without what was presented."""
    headers = {"X-Request-Id": "request-1"}
    if authorization is not None:
        headers["Authorization"] = authorization
    response = own_deployment.client().post(
        path,
        json={"channel": "demo"},
        headers=headers,
        environ_overrides={"REMOTE_ADDR": "198.51.100.7"},
    )
    assert_problem(response, "unauthenticated")
    assert own_deployment.audit.events == [
        AuditEvent(
            at=own_deployment.world.clock.now(),
            decision="refused",
            code="unauthenticated",
            client_address="198.51.100.7",
            omitted=0,
            request_id="request-1",
        )
    ]


def test_an_unconfirmed_key_is_refused_like_an_unknown_one_and_named_in_the_audit(
    own_deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """After a restore. The client gets no hint; the operator gets the key's ID, and a warning."""
    state = own_deployment.world.state
    keys = ApiKeys.decode(state.load("api-keys"))
    (key,) = keys.keys
    save_next(state, "api-keys", as_restored(keys).encode())
    own_deployment.read_state_again()

    def answer(api_key: str) -> object:
        response = own_deployment.client().post(
            "/v1/playback-urls",
            json={"channel": "demo"},
            headers={"Authorization": f"Bearer {api_key}", "X-Request-Id": "request-1"},
        )
        assert_problem(response, "unauthenticated")
        return response.json

    unknown = "tsk_ffffffffffff_" + 64 * "0"
    assert answer(own_deployment.key) == answer(unknown)
    assert [event.caller_id for event in own_deployment.audit.events] == [key.key_id, None]
    (warning,) = [record for record in caplog.records if record.name == "tokensvc.access.api_keys"]
    assert key.key_id in warning.getMessage()


def test_the_audited_request_id_is_the_one_of_the_response(own_deployment: Deployment) -> None:
    """Also when the service made it."""
    response = own_deployment.client().post("/v1/playback-urls", json={})
    (event,) = own_deployment.audit.events
    assert event.request_id == response.headers["X-Request-Id"]


def test_the_address_is_the_one_that_a_trusted_proxy_names(own_deployment: Deployment) -> None:
    """Without a trusted proxy, X-Forwarded-For is what the client wants to be seen as."""
    headers = {"X-Forwarded-For": "192.0.2.1, 198.51.100.7"}
    trusted = own_deployment.service_with(trusted_proxies=(ipaddress.ip_network("127.0.0.1"),))
    for client in (own_deployment.client(), own_deployment.client_of(trusted)):
        client.post("/v1/playback-urls", json={}, headers=headers)
    addresses = [event.client_address for event in own_deployment.audit.events]
    assert addresses == ["127.0.0.1", "198.51.100.7"]


def test_refused_sign_ins_are_audited_at_a_limited_rate(own_deployment: Deployment) -> None:
    """20 lines at once, then one a second; the next line says how many were omitted."""
    client, events = own_deployment.client(), own_deployment.audit.events

    def refuse(times: int) -> None:
        for _ in range(times):
            assert_problem(client.post("/v1/playback-urls", json={}), "unauthenticated")

    refuse(25)
    assert [event.omitted for event in events] == 20 * [0]
    own_deployment.world.clock.advance(1)
    refuse(2)
    assert [event.omitted for event in events[20:]] == [5]
    own_deployment.world.clock.advance(1)
    refuse(1)
    assert [event.omitted for event in events[21:]] == [1]
    own_deployment.world.clock.advance(3_600)
    refuse(25)
    assert [event.omitted for event in events[22:]] == 20 * [0]


def test_a_refused_sign_in_that_can_not_be_audited_is_an_error(own_deployment: Deployment) -> None:
    """It is refused in any case. The one after it is audited, and nothing was omitted."""
    own_deployment.audit.fails = True
    assert own_deployment.client().post("/v1/playback-urls", json={}).status_code == 500
    own_deployment.audit.fails = False
    own_deployment.client().post("/v1/playback-urls", json={})
    assert [event.omitted for event in own_deployment.audit.events] == [0]
