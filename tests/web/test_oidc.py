"""Callers with a token of an issuer, over HTTP: who gets a URL, who is refused, and how."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator
from typing import cast

import pytest

from tests.state.watching import wait_until
from tests.support import event_loop
from tests.support.deployment import Deployment
from tests.support.front_requests import Request
from tests.support.oidc_deployment import KEY, SINGLE, OidcDeployment, oidc_deployment
from tests.support.oidc_tokens import claims_of, signing_key, without_none
from tests.support.settings import SECRET
from tests.web.problem_shape import assert_problem
from tokensvc.access import recorded_secrets
from tokensvc.access.oidc import kept_keys
from tokensvc.access.oidc.callers import scopes_of
from tokensvc.access.oidc.terms import IssuerTerms
from tokensvc.access.recorded_secrets import RecordedSecrets
from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.errors import SecretsNotRecorded, SettingsInvalid
from tokensvc.revokers import recorded_viewer_ids
from tokensvc.service import Service
from tokensvc.settings.viewer_ids import ViewerIdSettings
from tokensvc.web.app import create_app
from tokensvc.web.front import Application, Front

OTHER_KEY = signing_key("ES256", "key-2")


@pytest.fixture
def prepared(shared: Deployment) -> Deployment:
    """The shared deployment, whose clock tests move: what it has read is not too old."""
    shared.create_app = create_app
    shared.read_state_again()
    shared.service.clock_watch.look()
    shared.audit.events.clear()
    return shared


@pytest.fixture
def oidc(prepared: Deployment) -> Iterator[OidcDeployment]:
    """The shared deployment with an issuer of its own."""
    with oidc_deployment(prepared) as made:
        yield made


def rule_of(oidc: OidcDeployment, token: str, address: str = "198.51.100.7") -> str:
    """The rule that a refused token breaks."""
    document = assert_problem(oidc.post(token, address), "unauthenticated")
    (error,) = document["errors"]
    assert error["field"] == "Authorization"
    return str(error["rule"])


def test_a_token_gets_a_url_and_its_subject_is_not_logged(oidc: OidcDeployment) -> None:
    """The caller is named by a viewer ID, which anyone with the secret can compute."""
    token = oidc.token(sub="ann@example.com")
    assert oidc.post(token).status_code == 200
    (event,) = oidc.deployment.audit.events
    (viewer_id,) = ViewerIds([SECRET]).of(oidc.issuer.url, "ann@example.com")
    assert event.caller_id == f"oidc:main:{viewer_id}"
    assert event.grant == "open"
    assert "ann@example.com" not in str(event.members())


def test_an_api_key_is_accepted_beside_tokens(oidc: OidcDeployment) -> None:
    """By its form. Without credentials, a client is asked for either."""
    assert oidc.post(oidc.deployment.key).status_code == 200
    assert_problem(oidc.post("tsk_unknown"), "unauthenticated")
    response = oidc.client.post(SINGLE, json={"channel": "demo"})
    assert "token" in assert_problem(response, "unauthenticated")["detail"]
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="tokensvc"'


def test_a_refused_token_is_audited_and_challenged(oidc: OidcDeployment) -> None:
    """RFC 6750 §3.1. Neither the answer nor the audit repeats the token."""
    token = oidc.token(aud="another-service")
    response = oidc.post(token)
    assert_problem(response, "unauthenticated")
    expected = 'Bearer realm="tokensvc", error="invalid_token"'
    assert response.headers["WWW-Authenticate"] == expected
    (event,) = oidc.deployment.audit.events
    assert (event.code, event.rule, event.caller_id) == ("unauthenticated", "audience", None)
    assert event.client_address == "198.51.100.7"
    assert token.split(".")[1] not in response.get_data(as_text=True) + str(event.members())


def test_tokens_are_refused_by_rule(oidc: OidcDeployment) -> None:
    """As `test_verification` shows in detail."""
    tokens = {
        "audience": oidc.token(aud="another-service"),
        "unknown_issuer": oidc.token(iss=f"{oidc.issuer.url}/"),
        "unknown_key": oidc.token(OTHER_KEY),
        "expired": oidc.token(exp=int(oidc.now.now) - 30),
        "malformed": "kJ3fopaque-access-token",  # Some issuers' access tokens are no JWTs.
        "too_long": f"{oidc.token()}{8_192 * 'x'}",
    }
    assert {rule: rule_of(oidc, token) for rule, token in tokens.items()} == {
        rule: rule for rule in tokens
    }


def test_a_remembered_token_ends_with_its_life(oidc: OidcDeployment) -> None:
    """At the end of the leeway, like one that is verified then."""
    token = oidc.token()
    assert oidc.post(token).status_code == 200
    oidc.deployment.world.clock.advance(629)
    oidc.deployment.service.clock_watch.look()
    assert oidc.callers.remembered(token, oidc.now) is not None
    oidc.deployment.world.clock.advance(1)
    assert oidc.callers.remembered(token, oidc.now) is None
    assert rule_of(oidc, token) == "expired"


def test_a_remembered_token_is_refused_when_its_key_was_removed(oidc: OidcDeployment) -> None:
    """From the next good fetch on. One of another key is accepted meanwhile."""
    token = oidc.token()
    assert oidc.post(token).status_code == 200
    oidc.issuer.keys = [OTHER_KEY.jwk]
    oidc.keeper.fetch()
    assert rule_of(oidc, token) == "unknown_key"
    assert oidc.post(oidc.token(OTHER_KEY)).status_code == 200
    oidc.issuer.keys = [KEY.jwk | {"kid": "key-2"}]  # Another key under the same ID.
    oidc.keeper.fetch()
    assert rule_of(oidc, oidc.token(OTHER_KEY)) == "signature"


def test_a_token_with_a_new_key_is_accepted_after_a_fetch(oidc: OidcDeployment) -> None:
    """One for all tokens with unknown keys in an interval."""
    oidc.issuer.keys.append(OTHER_KEY.jwk)
    oidc.deployment.world.clock.advance(10)
    assert oidc.post(oidc.token(OTHER_KEY)).status_code == 200
    for number in range(5):
        assert rule_of(oidc, oidc.token(signing_key("ES256", f"new-{number}"))) == "unknown_key"
    assert oidc.issuer.fetches == 2


@pytest.mark.parametrize("kid", [None, "key-1"])
def test_a_key_that_replaces_another_without_a_new_kid_is_found(
    oidc: OidcDeployment, kid: str | None
) -> None:
    """By its signature. Some issuers have no `kid` at all."""
    oidc.issuer.keys = [without_none(KEY.jwk | {"kid": kid})]
    oidc.keeper.fetch()
    oidc.issuer.keys = [without_none(OTHER_KEY.jwk | {"kid": kid})]
    now = int(oidc.now.now)
    claims = claims_of(iss=oidc.issuer.url, iat=now, exp=now + 600)
    token = OTHER_KEY.token(claims, header={"kid": kid})
    assert rule_of(oidc, token) == "signature"  # The last fetch was a moment ago.
    oidc.deployment.world.clock.advance(10)
    assert oidc.post(token).status_code == 200
    assert rule_of(oidc, KEY.token(claims, header={"kid": kid})) == "signature"


def test_a_wrong_signature_is_no_fault_of_an_issuer_that_is_down(oidc: OidcDeployment) -> None:
    """It counts for the limit of refused tokens, because it costs a verification."""
    oidc.issuer.behavior = "close"
    oidc.keeper.fetch()
    forged = f"{oidc.token().rpartition('.')[0]}.{oidc.token(OTHER_KEY).rpartition('.')[2]}"
    assert rule_of(oidc, forged) == "signature"
    assert_problem(oidc.post(oidc.token(OTHER_KEY)), "issuer_unavailable")


def test_an_issuer_that_is_down_for_longer_than_the_age_limit(oidc: OidcDeployment) -> None:
    """Its tokens are refused then, remembered ones too; API keys are accepted. /readyz names it."""
    token = oidc.token(exp=int(oidc.now.now) + 10 * 86_400)
    assert oidc.post(token).status_code == 200
    oidc.issuer.behavior = "close"
    oidc.deployment.world.clock.advance(86_400)
    oidc.keeper.fetch()
    oidc.deployment.read_state_again()
    oidc.deployment.service.clock_watch.look()
    assert oidc.post(token).status_code == 200
    check = readiness(oidc, "/readyz")
    assert (check["ready"], check["code"]) == (True, "issuer_unavailable")
    assert check["keys_fetched_at"] is not None

    oidc.deployment.world.clock.advance(1)
    assert_problem(oidc.post(token), "issuer_unavailable")
    assert oidc.post(oidc.deployment.key).status_code == 200
    assert readiness(oidc, "/readyz", 503)["code"] == "issuer_unavailable"
    check = readiness(oidc, "/readyz?scope=replica", 200)
    assert (check["ready"], check["code"]) == (False, "issuer_unavailable")


def readiness(oidc: OidcDeployment, path: str, status: int = 200) -> dict[str, object]:
    """The check of the issuer in that answer, which must have that status."""
    response = oidc.client.get(path)
    assert response.status_code == status
    document = response.get_json()
    (check,) = (each for each in document["checks"] if each["name"] == "issuer main")
    return cast("dict[str, object]", check)


def test_a_worker_that_starts_while_the_issuer_is_down(oidc: OidcDeployment) -> None:
    """It verifies with the kept keys, for these settings only."""
    state = oidc.deployment.world.state
    wait_until(
        lambda: [kept.issuer for kept in kept_keys.kept_keys(state).values()] == [oidc.issuer.url]
    )
    oidc.issuer.behavior = "close"
    with oidc.another_worker() as callers:
        other = dataclasses.replace(oidc, callers=callers)
        assert other.post(oidc.token()).status_code == 200
    with oidc.another_worker(jwks_url=f"{oidc.issuer.url}/other") as callers:
        other = dataclasses.replace(oidc, callers=callers)
        assert_problem(other.post(oidc.token()), "issuer_unavailable")


# --- The limit of refused tokens


def test_an_address_with_many_refused_tokens_is_limited(oidc: OidcDeployment) -> None:
    """Before a signature is verified; a good token too. Others are not: nor API keys."""
    oidc.deployment.world.clock.advance(60)  # The audit has lines left.
    remembered, good = oidc.token(), oidc.token(sub="other")
    assert oidc.post(remembered).status_code == 200
    bad = f"{oidc.token(aud='another-service')}"
    for _ in range(20):
        assert rule_of(oidc, bad) == "audience"
    for token in (bad, good):
        document = assert_problem(oidc.post(token), "rate_limited")
        assert document["retry_after_seconds"] == 2
    assert oidc.post(remembered).status_code == 200
    assert oidc.post(oidc.deployment.key).status_code == 200
    assert oidc.post(good, address="198.51.100.8").status_code == 200
    assert rule_of(oidc, bad, address="2001:db8::1") == "audience"

    codes = [event.code for event in oidc.deployment.audit.events]
    assert codes.count("rate_limited") + codes.count("unauthenticated") == 20  # Of 23.
    oidc.deployment.world.clock.advance(2)
    assert rule_of(oidc, bad) == "audience"
    assert_problem(oidc.post(bad), "rate_limited")
    assert oidc.deployment.audit.events[-1].rule == "invalid_tokens"
    assert oidc.meter.refused == {"invalid_tokens": 3}


def test_the_addresses_of_an_ipv6_network_are_one_client(oidc: OidcDeployment) -> None:
    """A client usually has a whole /64."""
    for number in range(20):
        rule_of(oidc, "a.b.c", address=f"2001:db8::{number:x}:1")
    assert_problem(oidc.post("a.b.c", address="2001:db8::ffff"), "rate_limited")
    assert rule_of(oidc, "a.b.c", address="2001:db8:0:1::1") == "malformed"


def test_a_client_can_not_choose_the_address_by_which_it_is_limited(oidc: OidcDeployment) -> None:
    """X-Forwarded-For counts only from a trusted proxy, which adds the address of its client."""
    trusted = dataclasses.replace(
        oidc.service, trusted_proxies=(ipaddress.ip_network("198.51.100.0/24"),)
    )

    def code(service: Service, forwarded_for: str, peer: str) -> str:
        headers = {"Authorization": "Bearer a.b.c", "X-Forwarded-For": forwarded_for}
        response = oidc.deployment.client_of(service).post(
            SINGLE, json={}, headers=headers, environ_overrides={"REMOTE_ADDR": peer}
        )
        return str(response.get_json(force=True)["code"])

    for number in range(20):  # Without a trusted proxy, the peer is the client.
        assert code(oidc.service, f"192.0.2.{number}", "203.0.113.1") == "unauthenticated"
    assert code(oidc.service, "192.0.2.99", "203.0.113.1") == "rate_limited"
    for number in range(20):  # Behind one, the client may have sent all but the last address.
        claimed = f"192.0.2.{number}, 203.0.113.2"
        assert code(trusted, claimed, "198.51.100.9") == "unauthenticated"
    assert code(trusted, "192.0.2.99, 203.0.113.2", "198.51.100.9") == "rate_limited"
    assert code(trusted, "203.0.113.3", "198.51.100.9") == "unauthenticated"


# --- On an event loop


def test_a_token_with_a_new_key_waits_for_the_fetch_without_a_thread(
    oidc: OidcDeployment,
) -> None:
    """The loop waits for the fetch and runs the request again."""
    oidc.issuer.keys.append(OTHER_KEY.jwk)
    oidc.deployment.world.clock.advance(10)
    front = Front(cast("Application", create_app(oidc.service)), threads=1)
    oidc.post(oidc.deployment.key)  # So that the channel is known.

    def post(token: str) -> int:
        headers = {"authorization": f"Bearer {token}"}
        answer = event_loop.run(
            Request(SINGLE, {"channel": "demo"}, headers=headers).send_to(front)
        )
        assert answer is not None
        return answer.status

    assert post(oidc.token(OTHER_KEY)) == 200
    assert post(oidc.token(OTHER_KEY)) == 200
    assert post(oidc.token(signing_key("ES256", "new"))) == 401


# --- What a caller may do


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("tokensvc:mint openid", ("mint",)),
        ("tokensvc:moderate tokensvc:mint", ("mint", "moderate")),
        (["tokensvc:moderate", "other"], ("moderate",)),
        ("tokensvc:operate", ()),  # The settings do not allow it.
        ("mint moderate", ()),
        ("tokensvc:mint2 xtokensvc:mint", ()),
        ("tokensvc:mint\u00a0tokensvc:moderate", ()),
        ("tokensvc:mint\ttokensvc:moderate", ()),
        ({"tokensvc:mint": 1}, ()),
        ([["tokensvc:mint"], None], ()),
        (None, ()),
    ],
)
def test_scopes_of_a_claim(claim: object, scopes: tuple[str, ...]) -> None:
    """The settings say which a token may name; without a claim in them, all are the caller's."""
    terms = IssuerTerms("main", "https://a.example.com", ("a",), scopes=("mint", "moderate"))
    assert scopes_of({"scope": claim}, terms) == ("mint", "moderate")
    named = dataclasses.replace(terms, scopes_claim="scope")
    assert scopes_of({"scope": claim}, named) == scopes
    assert scopes_of({}, named) == ()


def test_a_token_without_the_scope_is_refused(prepared: Deployment) -> None:
    """The caller is known then, so that the audit names it."""
    with oidc_deployment(prepared, scopes_claim="scope") as oidc:
        assert_problem(oidc.post(oidc.token(scope="openid")), "not_permitted")
        assert oidc.post(oidc.token(scope="openid tokensvc:mint")).status_code == 200
        first, second = oidc.deployment.audit.events
        assert first.caller_id == second.caller_id
        assert first.code == "not_permitted"


# --- Viewer ID secrets


def test_a_worker_with_other_viewer_id_secrets_does_not_start(oidc: OidcDeployment) -> None:
    """It would not notice bans. One that runs refuses tokens, so that another replica is tried."""
    token = oidc.token()
    assert oidc.post(token).status_code == 200
    state = oidc.deployment.world.state
    recorded_secrets.record(state, ViewerIds([bytes(range(100, 132))]))
    with pytest.raises(SettingsInvalid), oidc.another_worker():
        pytest.fail("It started.")  # pragma: no cover
    recorded = oidc.callers._parts.recorded
    recorded.refresh()
    assert recorded.latest().value != RecordedSecrets.of(ViewerIds([SECRET]))
    assert_problem(oidc.post(token), "state_unavailable")
    assert oidc.post(oidc.deployment.key).status_code == 200
    secrets = ViewerIdSettings.model_validate({"secret": SECRET.hex()})
    settings = oidc.deployment.settings.model_copy(update={"viewer_ids": secrets})
    with pytest.raises(SecretsNotRecorded):  # Nor does it revoke sessions by issuer and subject.
        recorded_viewer_ids(settings, state)
    for path in ("/readyz", "/readyz?scope=replica"):
        document = assert_problem(oidc.client.get(path), "state_unavailable")
        assert [error["field"] for error in document["errors"]] == ["viewer-id-secrets"]
    recorded_secrets.record(state, ViewerIds([SECRET]))
    recorded.refresh()
    assert oidc.post(token).status_code == 200
    assert oidc.client.get("/readyz?scope=replica").status_code == 200
