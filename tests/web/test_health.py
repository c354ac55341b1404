from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from tests.keyring.rings import REGION
from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem
from tokensvc.keyring.reporting.record import DeliveryFailure, RecordStore, RegionRecord
from tokensvc.waiting import no_waiting
from tokensvc.web.http1 import DRAINING


def test_healthz_answers_200_without_the_state(own_deployment: Deployment, tmp_path: Path) -> None:
    """Only the process counts: a restart would not fix the rest."""
    (tmp_path / "state.sqlite3").rename(tmp_path / "moved")
    own_deployment.world.clock.advance(100_000)
    response = own_deployment.client().get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


def test_a_service_that_can_sign_is_ready(deployment: Deployment) -> None:
    """Each dependency is listed; the route needs no API key."""
    response = deployment.client().get("/readyz")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.get_json() == {
        "status": "ready",
        "checks": [
            {"name": "process", "ready": True, "code": "", "notes": []},
            {"name": "api-keys", "ready": True, "code": "", "notes": []},
            {"name": "bans", "ready": True, "code": "", "notes": [], "age_seconds": 0},
            {"name": "ring us-west-2", "ready": True, "code": "", "notes": []},
            {"name": "audit", "ready": True, "code": "", "notes": []},
            {"name": "clock", "ready": True, "code": "", "notes": []},
            {"name": "reconcile us-west-2", "ready": True, "code": "", "notes": []},
            {"name": "notifications", "ready": True, "code": "", "notes": []},
        ],
    }


def test_a_service_without_its_state_is_not_ready(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """As soon as its view is too old, and until it has read the state again."""
    client, state_file, moved = own_deployment.client(), tmp_path / "state.sqlite3", tmp_path / "x"
    state_file.rename(moved)
    assert client.get("/readyz").status_code == 200
    own_deployment.world.clock.advance(121)
    document = assert_problem(client.get("/readyz"), "state_unavailable")
    assert [(check["name"], check["ready"], check["code"]) for check in document["checks"]] == [
        ("process", True, ""),
        ("api-keys", False, "state_unavailable"),
        ("bans", False, "state_unavailable"),
        ("ring us-west-2", False, "state_unavailable"),
        ("audit", True, ""),
        ("clock", True, ""),
        ("reconcile us-west-2", True, ""),
        ("notifications", True, ""),
    ]
    assert [error["field"] for error in document["errors"]] == [
        "api-keys",
        "bans",
        "ring us-west-2",
    ]
    assert str(tmp_path) not in str(document)
    moved.rename(state_file)
    own_deployment.read_state_again()
    assert client.get("/readyz").status_code == 200


def test_a_service_whose_clock_is_off_is_not_ready(own_deployment: Deployment) -> None:
    """Not for balancers either: the clock is that of this replica. It recovers with the clock."""
    client, world = own_deployment.client(), own_deployment.world
    world.ivs.set_clock_offset(3_600)
    world.clock.advance(60)
    own_deployment.service.clock_watch.look()
    for path in ("/readyz", "/readyz?scope=replica"):
        document = assert_problem(client.get(path), "clock_off")
        assert [error["field"] for error in document["errors"]] == ["clock"]

    world.ivs.set_clock_offset(0)
    world.clock.advance(10)
    own_deployment.service.clock_watch.look()

    assert client.get("/readyz").status_code == 200


def test_readiness_waits_for_nothing(own_deployment: Deployment) -> None:
    """Not even for a state that it could read: the threads that watch the state read it."""
    own_deployment.world.clock.advance(121)
    with no_waiting():
        assert_problem(own_deployment.client().get("/readyz"), "state_unavailable")
        assert own_deployment.client().get("/healthz").status_code == 200


def test_a_process_that_stops_is_not_ready_and_serves(deployment: Deployment) -> None:
    """A load balancer sends its requests elsewhere; those that still come are answered."""
    client, stopping = deployment.client(), {DRAINING: True}
    document = assert_problem(client.get("/readyz", environ_overrides=stopping), "draining")
    assert [check["name"] for check in document["checks"] if not check["ready"]] == ["process"]
    url = client.post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {deployment.key}"},
        environ_overrides=stopping,
    )
    assert url.status_code == 200
    assert client.get("/healthz", environ_overrides=stopping).status_code == 200


def test_a_service_without_an_active_key_is_not_ready(own_deployment: Deployment) -> None:
    """The region is listed with the code that its callers get."""
    world = own_deployment.world
    stored = world.store.load()
    assert stored is not None
    world.store.save(dataclasses.replace(stored.ring, pairs=()), replacing=stored.version)
    own_deployment.read_state_again()
    document = assert_problem(own_deployment.client().get("/readyz"), "no_signing_key")
    assert [error["field"] for error in document["errors"]] == ["ring us-west-2"]


def test_a_service_with_a_damaged_private_key_is_not_ready(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """The error names the custody, not the state, and contains no path."""
    world = own_deployment.world
    active = world.ring.require_active()
    (tmp_path / "keys" / f"{active.key_id}.pem").write_bytes(b"damaged")
    with world.view() as view:
        service = own_deployment.service_with(rings={view.region: view})
        document = assert_problem(
            own_deployment.client_of(service).get("/readyz"), "custody_unavailable"
        )
    assert [(check["name"], check["code"]) for check in document["checks"]] == [
        ("process", ""),
        ("api-keys", ""),
        ("bans", ""),
        ("ring us-west-2", "custody_damaged"),
        ("audit", ""),
        ("clock", ""),
        ("reconcile us-west-2", ""),
        ("notifications", ""),
    ]
    assert str(tmp_path) not in str(document)


def test_a_standby_that_can_not_be_used_is_a_note(
    own_deployment: Deployment, tmp_path: Path
) -> None:
    """Before the standby is needed, and while the active key still signs."""
    world = own_deployment.world
    standby = world.ring.standby
    assert standby is not None
    (tmp_path / "keys" / f"{standby.key_id}.pem").write_bytes(b"damaged")
    with world.view() as view:
        service = own_deployment.service_with(rings={view.region: view})
        response = own_deployment.client_of(service).get("/readyz")
    assert response.status_code == 200
    (note,) = response.get_json()["checks"][3]["notes"]
    assert "standby" in note
    assert not any(pair.key_id in response.text for pair in world.ring.pairs)
    assert str(tmp_path) not in note


def test_a_service_without_api_keys_is_ready_with_a_note(own_deployment: Deployment) -> None:
    """The note has the command that creates the first key."""
    world = own_deployment.world
    document = world.state.load("api-keys")
    assert document is not None
    world.state.save("api-keys", '{"schema_version":1,"keys":[]}', replacing=document.version)
    own_deployment.service.api_keys.refresh()
    response = own_deployment.client().get("/readyz")
    assert response.status_code == 200
    (note,) = response.get_json()["checks"][1]["notes"]
    assert "`tokensvc api-keys create`" in note


def test_an_overdue_schedule_is_noted_and_takes_nothing_out_of_service(
    own_deployment: Deployment,
) -> None:
    """All of it can still sign. A monitor sees the code; the next success ends it."""
    client, world = own_deployment.client(), own_deployment.world
    record_run(own_deployment, scheduled_since=world.clock.now())
    world.clock.advance(90_000)
    own_deployment.read_state_again()
    assert part(client, "reconcile us-west-2") == {
        "name": "reconcile us-west-2",
        "ready": True,
        "code": "",
        "notes": [],
        "last_success_at": "2027-01-15T08:02:00Z",
        "last_attempt_at": "2027-01-15T08:02:00Z",
        "last_attempt_code": "",
    }

    world.clock.advance(1)
    own_deployment.read_state_again()
    overdue = part(client, "reconcile us-west-2")
    assert (overdue["ready"], overdue["code"], len(overdue["notes"])) == (
        True,
        "reconcile_overdue",
        1,
    )
    for path in ("/readyz", "/readyz?scope=replica"):
        assert client.get(path).status_code == 200

    record_run(own_deployment, scheduled_since=None)
    assert part(client, "reconcile us-west-2")["code"] == ""


def test_a_receiver_that_accepts_no_notification_is_noted(own_deployment: Deployment) -> None:
    """Its name is for operators only."""
    failure = DeliveryFailure(since=0.0, at=60.0, detail="hooks.example.com failed.", hint="")
    RecordStore(own_deployment.world.state).update(
        lambda record: record.with_delivery_failure(failure)
    )
    own_deployment.service.reconciles.watched.refresh()
    noted = part(own_deployment.client(), "notifications")
    assert noted == {
        "name": "notifications",
        "ready": True,
        "code": "notification_failed",
        "notes": ["Notifications are not accepted since 1970-01-01T00:00:00Z."],
    }


def part(client: FlaskClient, name: str) -> dict[str, Any]:
    """That part of /readyz."""
    checks = client.get("/readyz").get_json(force=True)["checks"]
    (found,) = [check for check in checks if check["name"] == name]
    return dict(found)


def record_run(deployment: Deployment, *, scheduled_since: float | None) -> None:
    """Record a run that succeeds now, and let the worker read the record."""
    now = deployment.world.clock.now()
    run = RegionRecord(
        attempted_at=now,
        by="jobs@host-1",
        code="",
        succeeded_at=now,
        scheduled_since=scheduled_since,
    )
    RecordStore(deployment.world.state).update(lambda record: record.with_region(REGION, run, ()))
    deployment.service.reconciles.watched.refresh()
