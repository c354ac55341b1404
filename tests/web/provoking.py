"""Requests that provoke each problem of the HTTP API: functions from a deployment to a document."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from flask import abort
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem, assert_problem_document
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import Ban
from tokensvc.access.callers import Scope
from tokensvc.arns import ChannelArn
from tokensvc.errors import IvsUnavailable, TokensvcError
from tokensvc.ivs.clock_watch import ASK_AFTER_SECONDS
from tokensvc.ivs.model import Channel
from tokensvc.web.http1 import DRAINING

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"
REVOCATIONS = "/v1/viewer-session-revocations"

Document = dict[str, Any]
Provoke = Callable[[Deployment], Document]


def problem_of(response: TestResponse) -> Document:
    """The problem document of the response, which must be a problem in every respect."""
    return assert_problem(response, response.get_json(force=True)["code"])


def call(method: str, path: str) -> Provoke:
    """A request without an API key and without a body."""
    return lambda deployment: problem_of(deployment.client().open(path, method=method))


def post(body: object, path: str = SINGLE) -> Provoke:
    """A request with that JSON body, by the caller of the deployment."""
    return lambda deployment: _post(deployment, deployment.client(), body, path)


def post_text(text: str, content_type: str = "application/json") -> Provoke:
    """A request with that text as its body, by the caller of the deployment."""
    return lambda deployment: problem_of(
        deployment.client().post(
            SINGLE, data=text, content_type=content_type, headers=_bearer(deployment.key)
        )
    )


def post_as(*grants: str, **body: object) -> Provoke:
    """A request by a new caller with those grants."""

    def provoke(deployment: Deployment) -> Document:
        number = len(deployment.service.api_keys.latest().value.keys)
        key = deployment.new_key(f"key {number}", *grants)
        response = deployment.client().post(SINGLE, json=body, headers=_bearer(key))
        return problem_of(response)

    return provoke


def post_with_scope(*scopes: Scope, **body: object) -> Provoke:
    """A request by a new caller with those scopes, whose grants cover every channel."""

    def provoke(deployment: Deployment) -> Document:
        number = len(deployment.service.api_keys.latest().value.keys)
        key = deployment.new_key(f"key {number}", "open", scopes=scopes)
        return problem_of(deployment.client().post(SINGLE, json=body, headers=_bearer(key)))

    return provoke


def post_as_moderator(**body: object) -> Provoke:
    """A request of a new moderator to end sessions."""

    def provoke(deployment: Deployment) -> Document:
        number = len(deployment.service.api_keys.latest().value.keys)
        key = deployment.new_key(f"key {number}", "open", scopes=("moderate",))
        client = deployment.client()
        return problem_of(client.post(REVOCATIONS, json=body, headers=_bearer(key)))

    return provoke


def post_with_key(key: str) -> Provoke:
    """A request with that text as its API key."""
    return lambda deployment: problem_of(deployment.client().post(SINGLE, headers=_bearer(key)))


def post_when_lookup_raises(raised: Exception) -> Provoke:
    """A request for a channel whose lookup in IVS raises that exception."""

    def fetch(_: ChannelArn) -> NoReturn:
        raise raised

    return lambda deployment: _post(
        deployment, deployment.client_with_fetch(fetch), {"channel": "demo"}
    )


def post_for_public_channel(arn: str) -> Provoke:
    """A request for a channel that is public in IVS."""

    def fetch(arn: ChannelArn) -> Channel:
        return Channel(arn, "", is_private=False, playback_url="https://example.com/a.m3u8")

    return lambda deployment: _post(
        deployment, deployment.client_with_fetch(fetch), {"channel": arn}
    )


def post_when_banned(made: Ban, **body: object) -> Provoke:
    """A request for a private channel, after that ban."""

    def fetch(arn: ChannelArn) -> Channel:
        return Channel(arn, "", is_private=True, playback_url="https://example.com/a.m3u8")

    def provoke(deployment: Deployment) -> Document:
        log = BanLog(deployment.world.state, deployment.world.clock)
        log.append(deployment.service.bans.refresh(), lambda _: made)
        deployment.service.bans.refresh()
        return _post(deployment, deployment.client_with_fetch(fetch), body)

    return provoke


def call_route_that_aborts(status: int) -> Provoke:
    """A request to a route of the application that Flask refuses with that status."""

    def provoke(deployment: Deployment) -> Document:
        app = deployment.app()
        app.get("/aborted")(lambda: abort(status))
        return problem_of(app.test_client().get("/aborted"))

    return provoke


# --- Faults of the service: each needs a deployment of its own


def post_too_late_in_a_batch(deployment: Deployment) -> Document:
    """The second request of a batch whose first lookup took longer than a batch may take."""

    def fetch(_: ChannelArn) -> NoReturn:
        deployment.world.clock.advance(11)
        raise IvsUnavailable("No answer.")

    requests = [{"channel": "demo"}, {"channel": "lobby"}]
    response = deployment.client_with_fetch(fetch).post(
        BATCH, json={"requests": requests}, headers=_bearer(deployment.key)
    )
    document = response.get_json()["results"][1]
    assert_problem_document(document, document["code"])
    assert isinstance(document, dict)
    return document


def without_key_pairs(use: Callable[[Deployment, FlaskClient], Document]) -> Provoke:
    """`use` of a service whose ring has no key pairs."""

    def provoke(deployment: Deployment) -> Document:
        store = deployment.world.store
        stored = store.load()
        assert stored is not None
        store.save(dataclasses.replace(stored.ring, pairs=()), replacing=stored.version)
        deployment.read_state_again()
        return use(deployment, deployment.client())

    return provoke


def without_the_state(use: Callable[[Deployment, FlaskClient], Document]) -> Provoke:
    """`use` of a service that can't read its state, when its views are too old."""

    def provoke(deployment: Deployment) -> Document:
        folder = deployment.world.folder
        (folder / "state.sqlite3").rename(folder / "moved.sqlite3")
        deployment.world.clock.advance(121)
        return use(deployment, deployment.client())

    return provoke


def with_api_keys_document(
    body: str, use: Callable[[Deployment, FlaskClient], Document]
) -> Provoke:
    """`use` of a service whose API keys are too old, when that is their stored document."""

    def provoke(deployment: Deployment) -> Document:
        state = deployment.world.state
        state.save("api-keys", body, replacing=state.version("api-keys"))
        deployment.world.clock.advance(121)
        with contextlib.suppress(TokensvcError):
            deployment.read_state_again()
        deployment.service.bans.refresh()
        for view in deployment.service.rings.values():
            view.refresh()
        return use(deployment, deployment.client())

    return provoke


def with_damaged_private_key(use: Callable[[Deployment, FlaskClient], Document]) -> Provoke:
    """`use` of a service whose active private key is damaged."""

    def damage(path: Path) -> None:
        path.write_bytes(b"damaged")

    return lambda deployment: _with_changed_private_key(deployment, damage, use)


def with_unreadable_private_key(use: Callable[[Deployment, FlaskClient], Document]) -> Provoke:
    """`use` of a service that can't read the file of its active private key."""

    def make_unreadable(path: Path) -> None:
        path.unlink()
        path.mkdir(mode=0o700)

    return lambda deployment: _with_changed_private_key(deployment, make_unreadable, use)


def with_clock_off(use: Callable[[Deployment, FlaskClient], Document]) -> Provoke:
    """`use` of a service whose clock is an hour ahead of IVS's, as two answers show."""

    def provoke(deployment: Deployment) -> Document:
        deployment.world.ivs.set_clock_offset(-3_600)
        deployment.world.clock.advance(ASK_AFTER_SECONDS)
        deployment.service.clock_watch.look()
        return use(deployment, deployment.client())

    return provoke


def post_demo(deployment: Deployment, client: FlaskClient) -> Document:
    """A request for the channel `demo`."""
    return _post(deployment, client, {"channel": "demo"})


def get_readyz_while_draining(deployment: Deployment) -> Document:
    """The problem of /readyz in a process that stops."""
    return _readyz_problem(deployment.client(), {DRAINING: True})


def get_readyz(_: Deployment, client: FlaskClient) -> Document:
    """The problem of /readyz."""
    return _readyz_problem(client, {})


def _readyz_problem(client: FlaskClient, environ: dict[str, object]) -> Document:
    """The problem of /readyz, whose checks have the same sentences as its errors."""
    document = problem_of(client.get("/readyz", environ_overrides=environ))
    failed = [check for check in document["checks"] if not check["ready"]]
    assert [(check["name"], check["code"], check["notes"]) for check in failed] == [
        (error["field"], error["rule"], [error["message"]]) for error in document["errors"]
    ]
    return document


def _with_changed_private_key(
    deployment: Deployment,
    change: Callable[[Path], None],
    use: Callable[[Deployment, FlaskClient], Document],
) -> Document:
    change(deployment.world.folder / "keys" / f"{deployment.active_key_id}.pem")
    with deployment.world.view() as view:
        rings = {view.region: view}
        issuer = deployment.issuer_with(rings=rings)
        service = deployment.service_with(rings=rings, issuer=issuer)
        return use(deployment, deployment.client_of(service))


def _post(
    deployment: Deployment, client: FlaskClient, body: object, path: str = SINGLE
) -> Document:
    return problem_of(client.post(path, json=body, headers=_bearer(deployment.key)))


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
