"""Rate limits of callers and viewers, over HTTP: which requests get 429, and what answers say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support import event_loop
from tests.support.clock import ManualClock
from tests.support.deployment import Deployment
from tests.support.front_requests import Request
from tests.support.recording_meter import RecordingMeter
from tests.web.problem_shape import assert_problem, assert_problem_document
from tokensvc.access.callers import Caller, Identity
from tokensvc.access.request_limits import RequestLimits, RequestRates
from tokensvc.access.requests import PlaybackRequest
from tokensvc.audit import AuditEvent
from tokensvc.errors import RateLimited
from tokensvc.rates import OneProcess
from tokensvc.waiting import MustWait, may_wait
from tokensvc.web.front import Application, Front

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"


def limits_of(deployment: Deployment, clock: ManualClock, **rates: int) -> RequestLimits:
    """The limits of a process that is alone."""
    made = RequestLimits.of(RequestRates(**rates), clock, OneProcess(), (), deployment.audit)
    assert made is not None
    return made


def client_with(deployment: Deployment, clock: ManualClock, **rates: int) -> FlaskClient:
    """A client of a service with these limits."""
    limits = limits_of(deployment, clock, **rates)
    return deployment.client_of(deployment.service_with(request_limits=limits))


def post(client: FlaskClient, key: str, body: object, path: str = SINGLE) -> TestResponse:
    """The whole response to a request with that API key."""
    headers = {"Authorization": f"Bearer {key}"}
    return client.post(path, json=body, headers=headers, buffered=True)


def fields(response: TestResponse) -> Mapping[str, str]:
    """The header fields about limits."""
    names = ("RateLimit-Policy", "RateLimit", "Retry-After")
    return {name: response.headers[name] for name in names if name in response.headers}


def test_a_caller_at_its_limit_gets_429_and_no_other_caller_does(deployment: Deployment) -> None:
    """Five at once and then two a second; after 0.5 s the next one."""
    clock = ManualClock()
    client = client_with(deployment, clock, caller_per_second=2, caller_burst=5)
    policy = '"caller";q=2;w=1'
    answers = [post(client, deployment.key, {"channel": "demo"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == 5 * [200]
    assert fields(answers[0]) == {"RateLimit-Policy": policy, "RateLimit": '"caller";r=4;t=1'}

    refused = post(client, deployment.key, {"channel": "demo"})

    document = assert_problem(refused, "rate_limited")
    assert document["retry_after_seconds"] == 1
    assert fields(refused) == {
        "RateLimit-Policy": policy,
        "RateLimit": '"caller";r=0;t=1',
        "Retry-After": "1",
    }
    other = deployment.new_key(f"other {deployment.create_app.__name__}", "open")
    assert post(client, other, {"channel": "demo"}).status_code == 200
    clock.advance(0.5)
    assert post(client, deployment.key, {"channel": "demo"}).status_code == 200


def test_other_routes_are_limited_and_counted_apart(deployment: Deployment) -> None:
    """A caller that has used up its playback URLs can still operate, as often as that."""
    client = client_with(deployment, ManualClock(), caller_per_second=1, caller_burst=2)
    name = f"operator {deployment.create_app.__name__}"
    key = deployment.new_key(name, "open", scopes=("mint", "operate"))
    answers = [post(client, key, {"channel": "demo"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    headers = {"Authorization": f"Bearer {key}"}
    answers = [client.get("/v1/keys", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_problem(answers[2], "rate_limited")
    assert answers[0].headers["RateLimit"] == '"caller";r=1;t=1'


def test_a_viewer_at_its_limit_gets_429_and_no_other_viewer_does(deployment: Deployment) -> None:
    """Two a minute for each viewer ID of a caller; another caller's viewers count apart."""
    clock = ManualClock()
    client = client_with(deployment, clock, viewer_per_minute=2)
    statuses = [
        post(client, deployment.key, {"channel": "demo", "viewer_id": viewer_id}).status_code
        for viewer_id in ("a", "a", "a", "b")
    ]
    assert statuses == [200, 200, 429, 200]
    other = deployment.new_key(f"viewers {deployment.create_app.__name__}", "open")
    answer = post(client, other, {"channel": "demo", "viewer_id": "a"})
    assert answer.status_code == 200
    assert answer.headers["RateLimit"] == '"viewer";r=1;t=30'
    refused = post(client, deployment.key, {"channel": "demo", "viewer_id": "a"})
    assert refused.headers["Retry-After"] == "30"
    without = post(client, deployment.key, {"channel": "demo"})
    assert fields(without) == {}
    clock.advance(30)
    again = {"channel": "demo", "viewer_id": "a"}
    assert post(client, deployment.key, again).status_code == 200


def test_each_item_of_a_batch_counts(deployment: Deployment) -> None:
    """Of six items with a burst of four, four are issued: also one that is not valid counts."""
    client = client_with(deployment, ManualClock(), caller_per_second=1, caller_burst=4)
    requests: list[dict[str, Any]] = [{"channel": "demo"}, {}, *(4 * [{"channel": "demo"}])]
    answer = post(client, deployment.key, {"requests": requests}, BATCH)
    results = answer.get_json()["results"]
    assert [result.get("code") for result in results] == [
        None,
        "invalid_request",
        None,
        None,
        "rate_limited",
        "rate_limited",
    ]
    assert_problem_document(results[4], "rate_limited")
    assert answer.status_code == 200
    assert answer.headers["RateLimit"] == '"caller";r=0;t=1'
    # Nothing is left: the next one is refused as a whole.
    assert_problem(post(client, deployment.key, {"requests": requests}, BATCH), "rate_limited")
    refused = [event for event in deployment.audit.events if event.code == "rate_limited"]
    assert [event.rule for event in refused] == ["caller", "caller"]  # One line for each batch.


def test_the_viewers_of_a_batch_have_limits_of_their_own(deployment: Deployment) -> None:
    """Two a minute for each."""
    client = client_with(deployment, ManualClock(), viewer_per_minute=2)
    requests = [{"channel": "demo", "viewer_id": viewer_id} for viewer_id in "aaabab"]
    results = post(client, deployment.key, {"requests": requests}, BATCH).get_json()["results"]
    assert [result.get("code") for result in results] == [
        None,
        None,
        "rate_limited",
        None,
        "rate_limited",
        None,
    ]
    assert [event.rule for event in deployment.audit.events if event.code] == ["viewer"]


def test_the_line_of_a_batch_names_every_limit_that_refused(deployment: Deployment) -> None:
    """In alphabetical order: the third item exceeds the viewer's limit, the fifth the caller's."""
    client = client_with(
        deployment, ManualClock(), caller_per_second=1, caller_burst=4, viewer_per_minute=2
    )
    requests = [{"channel": "demo", "viewer_id": viewer_id} for viewer_id in "aaabb"]
    results = post(client, deployment.key, {"requests": requests}, BATCH).get_json()["results"]
    codes = [None, None, "rate_limited", None, "rate_limited"]
    assert [result.get("code") for result in results] == codes
    refused = [event for event in deployment.audit.events if event.code]
    assert [event.rule for event in refused] == ["caller,viewer"]


def test_a_viewer_id_that_is_too_long_is_not_kept(deployment: Deployment) -> None:
    """It is refused anyway. 50,000 of 60,000 characters would be 3 GB in each process."""
    limits = limits_of(deployment, ManualClock(), viewer_per_minute=1)
    assert limits.viewers is not None
    caller = Caller("backend", "backend", (), ("mint",))
    first, second = (PlaybackRequest(channel="demo", viewer_id=41 * "v" + end) for end in "ab")

    limits.count_viewer({}, caller, first, "request 1")

    with pytest.raises(RateLimited):
        limits.count_viewer({}, caller, second, "request 2")
    with pytest.raises(RateLimited):
        limits.count_items({}, caller, [second], "request 3")
    assert len(limits.viewers) == 1


def test_refusals_are_audited_at_a_limited_rate(deployment: Deployment) -> None:
    """With the caller and the request ID: 20 lines at once."""
    client = client_with(deployment, ManualClock(), caller_per_second=1, caller_burst=1)
    for _ in range(31):
        post(client, deployment.key, {"channel": "demo"})
    granted, *refused = deployment.audit.events
    assert granted.decision == "granted"
    assert {(event.code, event.rule, event.caller_id, event.decision) for event in refused} == {
        ("rate_limited", "caller", granted.caller_id, "refused")
    }
    assert len(refused) == 20
    assert all(event.request_id for event in refused)


def test_nothing_is_counted_for_a_client_that_is_not_authenticated(deployment: Deployment) -> None:
    """An attacker without a key can't use up a caller's limit."""
    client = client_with(deployment, ManualClock(), caller_per_second=1, caller_burst=1)
    wrong = deployment.key[:-1] + ("1" if deployment.key.endswith("0") else "0")
    for _ in range(3):
        answer = post(client, wrong, {"channel": "demo"})
        assert (answer.status_code, fields(answer)) == (401, {})
    assert post(client, deployment.key, {"channel": "demo"}).status_code == 200


@pytest.mark.parametrize("path", [SINGLE, BATCH])
def test_a_request_that_must_wait_counts_once(deployment: Deployment, path: str) -> None:
    """It runs again in a thread; with a burst of one it would be refused there."""
    limits = limits_of(deployment, ManualClock(), caller_per_second=1, caller_burst=1)
    directory = deployment.issuer_with()  # Knows no channel.
    service = deployment.service_with(issuer=directory, request_limits=limits)
    front = Front(cast("Application", deployment.create_app(service)), threads=1)
    item = {"channel": "demo", "viewer_id": "a"}
    body = item if path == SINGLE else {"requests": [item]}
    key = {"authorization": f"Bearer {deployment.key}"}

    answer, refused = (event_loop.run(Request(path, body, key).send_to(front)) for _ in range(2))

    assert answer is not None
    assert answer.status == 200
    assert answer.headers["ratelimit"].startswith('"caller";r=0')
    assert refused is not None
    assert refused.status == 429


class WaitsOnce:
    """An audit log whose first line must wait."""

    failure = None

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self._has_waited = False

    def write(self, event: AuditEvent) -> None:
        """Raise MustWait the first time on an event loop."""
        if not self._has_waited:
            self._has_waited = True
            raise MustWait
        may_wait()
        self.events.append(event)


def test_a_refusal_whose_line_must_wait_is_the_same_when_it_runs_again() -> None:
    """It is not counted again, and has one line."""
    clock, audit = ManualClock(), WaitsOnce()
    rates = RequestRates(caller_per_second=1, caller_burst=1)
    limits = RequestLimits.of(rates, clock, OneProcess(), (), audit)
    assert limits is not None
    caller = Caller("00000000000a", "backend", ("open",))
    limits.count_caller({}, caller, "one")
    environ: dict[str, Any] = {}
    with pytest.raises(MustWait):
        limits.count_caller(environ, caller, "two")
    clock.advance(10)
    with pytest.raises(RateLimited):
        limits.count_caller(environ, caller, "two")
    assert [event.request_id for event in audit.events] == ["two"]


def test_each_refusal_is_counted_once_by_its_limit() -> None:
    """Each item of a batch; not again when a request runs again; and never by its caller."""
    clock, meter = ManualClock(), RecordingMeter()
    rates = RequestRates(caller_per_second=1, caller_burst=3, viewer_per_minute=1)
    limits = RequestLimits.of(rates, clock, OneProcess(), (), WaitsOnce(), meter=meter)
    assert limits is not None
    caller = Caller("00000000000a", "backend", ("open",))
    items = [PlaybackRequest(channel="demo", viewer_id="viewer-1") for _ in range(4)]
    environ: dict[str, Any] = {}
    with pytest.raises(MustWait):
        limits.count_items(environ, caller, items, "one")
    limits.count_items(environ, caller, items, "one")
    limits.count_operation({}, _person(), "two")
    with pytest.raises(RateLimited):
        limits.count_operation({}, _person(), "two")
    assert meter.refused == {"viewer": 2, "caller": 1, "person": 1}


def _person() -> Caller:
    identity = Identity("https://issuer.example.com", "subject", ("v" * 40,), {})
    return Caller("person-1", "person", ("people",), identity=identity)


def test_a_person_has_60_a_minute_by_default(deployment: Deployment) -> None:
    """One whom an identity provider has signed in; a program that acts for viewers has not."""
    limits = RequestLimits(
        ManualClock(),
        limits_of(deployment, ManualClock(), caller_per_second=1).audited,
        callers=None,
        viewers=None,
        people=limits_of(deployment, ManualClock(), caller_per_second=1).people,
        backend_grants=frozenset({"server"}),
    )
    person = _person()
    identity = person.identity
    without_grants = Caller("person-2", "person", (), identity=identity)
    program = Caller("program-1", "program", ("server",), identity=identity)
    for _ in range(60):
        limits.count_caller({}, person, "r")
        limits.count_caller({}, without_grants, "r")
        limits.count_caller({}, program, "r")
    limits.count_caller({}, program, "r")
    for each in (person, without_grants):
        with pytest.raises(RateLimited):
            limits.count_caller({}, each, "r")
    assert [event.rule for event in deployment.audit.events] == ["person", "person"]


def test_without_a_limit_nothing_is_counted() -> None:
    """The usual request costs nothing more."""
    arguments = (RequestRates(), ManualClock(), OneProcess(), (), WaitsOnce())
    assert RequestLimits.of(*arguments) is None
    assert RequestLimits.of(*arguments, has_people=True) is not None


def test_a_caller_with_many_unknown_channels_gets_429_and_no_other_caller_does(
    deployment: Deployment,
) -> None:
    """200 at once; the channels that it knows are still served."""
    client = deployment.client_of(deployment.service_with(issuer=deployment.issuer_with()))
    prefix = str(deployment.channel).rpartition("/")[0]
    other = deployment.new_key(f"unknown {deployment.create_app.__name__}", "open")
    assert post(client, other, {"channel": "demo"}).status_code == 200
    codes: list[str] = []
    for begin in (0, 100, 200):
        requests = [{"channel": f"{prefix}/none{begin + number}"} for number in range(100)]
        results = post(client, deployment.key, {"requests": requests}, BATCH).get_json()["results"]
        codes += [result["code"] for result in results]
    assert codes == 200 * ["channel_not_found"] + 100 * ["rate_limited"]
    unknown = {"channel": f"{prefix}/another"}
    assert_problem(post(client, deployment.key, unknown), "rate_limited")
    assert deployment.audit.events[-1].rule == "new_channels"
    assert post(client, deployment.key, {"channel": "demo"}).status_code == 200
    assert_problem(post(client, other, unknown), "channel_not_found")
