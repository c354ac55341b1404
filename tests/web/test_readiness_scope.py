"""`/readyz?scope=replica`, and that readiness and the routes name the same fault."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.keyring.rings import TERMS
from tests.support.deployment import Deployment
from tests.support.settings import settings_in
from tests.web.problem_shape import assert_problem
from tokensvc import audit_output
from tokensvc.audit_output import AuditOutput
from tokensvc.errors import AuditUnavailable, TokensvcError
from tokensvc.service import Service, build
from tokensvc.web.http1 import DRAINING

NEWER_DOCUMENT = '{"schema_version": 99}'


def codes(deployment: Deployment, client: FlaskClient) -> tuple[str, str, str]:
    """The codes of /readyz, of /readyz?scope=replica and of a request; "" for 200."""
    route = client.post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {deployment.key}"},
    )
    readyz, of_replica = probe_codes(client)
    return readyz, of_replica, _code(route)


def probe_codes(client: FlaskClient) -> tuple[str, str]:
    """The codes of /readyz and of /readyz?scope=replica; "" for 200."""
    return _code(client.get("/readyz")), _code(client.get("/readyz?scope=replica"))


def _code(answer: TestResponse) -> str:
    assert answer.status_code in (200, 503)
    return "" if answer.status_code == 200 else str(answer.get_json(force=True)["code"])


def unready(deployment: Deployment) -> list[str]:
    """The names of the checks that are not ready."""
    checks = deployment.client().get("/readyz").get_json(force=True)["checks"]
    return [check["name"] for check in checks if not check["ready"]]


@contextlib.contextmanager
def new_worker(deployment: Deployment) -> Iterator[Service]:
    """A started worker of the same deployment that reads the state only on request."""
    with contextlib.closing(
        build(
            deployment.settings,
            deployment.world.clock,
            deployment.audit,
            state=deployment.world.state,
        )
    ) as service:
        service.start()
        yield service


def newer_api_keys(deployment: Deployment) -> None:
    """A newer release has written the API keys."""
    state = deployment.world.state
    state.save("api-keys", NEWER_DOCUMENT, replacing=state.version("api-keys"))


def newer_ring(deployment: Deployment) -> None:
    """A newer release has written the ring."""
    state = deployment.world.state
    state.save("ring:us-west-2", NEWER_DOCUMENT, replacing=state.version("ring:us-west-2"))


def damaged_api_keys(deployment: Deployment) -> None:
    """The document of the API keys is not valid."""
    state = deployment.world.state
    state.save("api-keys", "{}", replacing=state.version("api-keys"))


def state_away(deployment: Deployment) -> None:
    """The state file is not there."""
    folder = deployment.world.folder
    (folder / "state.sqlite3").rename(folder / "away.sqlite3")


def damaged_private_key(deployment: Deployment) -> None:
    """The file of the active private key is damaged."""
    path = deployment.world.folder / "keys" / f"{deployment.active_key_id}.pem"
    path.write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (newer_api_keys, ("schema_unsupported", "schema_unsupported", "schema_unsupported")),
        (newer_ring, ("schema_unsupported", "schema_unsupported", "schema_unsupported")),
        (damaged_api_keys, ("state_unavailable", "", "state_unavailable")),
        (state_away, ("state_unavailable", "", "state_unavailable")),
        (
            damaged_private_key,
            ("custody_unavailable", "custody_unavailable", "custody_unavailable"),
        ),
    ],
)
def test_a_new_worker_starts_with_each_fault_and_names_it(
    own_deployment: Deployment,
    break_it: Callable[[Deployment], None],
    expected: tuple[str, str, str],
) -> None:
    """A shared fault does not make a load balancer take the replica out of service."""
    break_it(own_deployment)
    with new_worker(own_deployment) as service:
        assert codes(own_deployment, own_deployment.client_of(service)) == expected


def test_a_key_that_is_encrypted_with_another_secret_is_named_too(
    own_deployment: Deployment,
) -> None:
    """A replica that was given the wrong key-encryption secret."""
    world = own_deployment.world
    settings = settings_in(
        world.folder,
        custody={"key_encryption_secret": bytes(range(1, 33)).hex()},
        channels={"demo": str(own_deployment.channel)},
        grants={"open": {"channels": [str(own_deployment.channel)]}},
    )
    with contextlib.closing(
        build(settings, world.clock, own_deployment.audit, state=world.state)
    ) as service:
        service.start()
        found = codes(own_deployment, own_deployment.client_of(service))
    assert found == ("custody_unavailable", "custody_unavailable", "custody_unavailable")


def test_a_worker_that_started_without_the_state_recovers(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """When the file is back, the threads that watch it read it, and the worker signs."""
    state_away(own_deployment)
    with new_worker(own_deployment) as service:
        client = own_deployment.client_of(service)
        assert codes(own_deployment, client) == ("state_unavailable", "", "state_unavailable")
        (tmp_path / "away.sqlite3").rename(tmp_path / "state.sqlite3")
        service.read()
        assert codes(own_deployment, client) == ("", "", "")


def test_a_replica_that_stops_or_can_not_write_its_audit_is_taken_out(
    own_deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other replicas go on."""
    client = own_deployment.client()
    stopping = client.get("/readyz?scope=replica", environ_overrides={DRAINING: True})
    assert_problem(stopping, "draining")
    failure: TokensvcError = AuditUnavailable("The disk is full.")
    monkeypatch.setattr(own_deployment.audit, "failure", failure, raising=False)
    assert_problem(client.get("/readyz?scope=replica"), "audit_unavailable")


def test_a_replica_without_requests_notices_that_its_audit_can_be_written_again(
    own_deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load balancer that has taken it out of service sends it nothing but probes."""
    monkeypatch.setattr(audit_output, "MAX_WAIT_SECONDS", 0.05)
    reading, writing = os.pipe()
    with contextlib.closing(AuditOutput(writing)) as output:
        service = own_deployment.service_with(
            audit=output, issuer=own_deployment.issuer_with(audit=output)
        )
        client = own_deployment.client_of(service)
        unread = fill(writing)
        assert codes(own_deployment, client) == ("audit_unavailable",) * 3
        os.read(reading, unread)
        assert probe_codes(client) == ("", "")
        (line,) = os.read(reading, 65_536).splitlines()
    os.close(reading)
    os.close(writing)
    assert json.loads(line)["decision"] == "refused"
    assert json.loads(line)["code"] == "audit_unavailable"


def fill(writing: int) -> int:
    """Fill the pipe, as a program that does not read its input; the number of bytes."""
    os.set_blocking(writing, False)
    size = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            size += os.write(writing, bytes(4_096))
    return size


def test_the_body_lists_every_part_in_both_scopes(own_deployment: Deployment) -> None:
    """What the scope leaves out of the status is still listed."""
    state_away(own_deployment)
    own_deployment.world.clock.advance(3_601)
    client = own_deployment.client()
    whole = client.get("/readyz").get_json(force=True)["checks"]
    of_replica = client.get("/readyz?scope=replica").get_json()["checks"]
    assert whole == of_replica
    assert [check["name"] for check in of_replica if not check["ready"]] == [
        "api-keys",
        "bans",
        "ring us-west-2",
    ]


def test_another_scope_is_refused(deployment: Deployment) -> None:
    """A mistake in the settings of a load balancer must not pass for ready."""
    document = assert_problem(deployment.client().get("/readyz?scope=all"), "invalid_request")
    assert [(error["field"], error["rule"]) for error in document["errors"]] == [("scope", "enum")]


def test_api_keys_and_bans_become_too_old_before_the_ring(own_deployment: Deployment) -> None:
    """Stale API keys let the wrong callers in; a stale ring costs at most refused tokens."""
    world = own_deployment.world
    world.rotator(terms=dataclasses.replace(TERMS, ring_max_age_seconds=3_600)).ring()
    own_deployment.read_state_again()
    state_away(own_deployment)
    world.clock.advance(121)
    assert unready(own_deployment) == ["api-keys", "bans"]
    world.clock.advance(3_600 - 121)
    assert unready(own_deployment) == ["api-keys", "bans"]
    world.clock.advance(1)
    assert unready(own_deployment) == ["api-keys", "bans", "ring us-west-2"]
