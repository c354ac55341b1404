"""The spans of requests, as a collector receives them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest
from flask import Flask
from pydantic import SecretStr

from tests.support import event_loop
from tests.support.deployment import Deployment
from tests.support.front_requests import Answer, Request
from tests.support.trace_collector import ReceivedSpan, received_spans, received_text
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    join_senders,
    unused_port,
    webhook_receiver,
)
from tokensvc.errors import SettingsInvalid
from tokensvc.service import Service, build
from tokensvc.settings.entitlement import EntitlementSettings
from tokensvc.spans import CURRENT, NO_SPAN
from tokensvc.telemetry.otel_extra import require_otel
from tokensvc.telemetry.traces import MAX_BATCH, MAX_QUEUED, Traces
from tokensvc.waiting import may_wait
from tokensvc.web.app import create_app
from tokensvc.web.front import Application, Front
from tokensvc.web.tracing import RequestSpans

SINGLE = "/v1/playback-urls"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE_ID}-{PARENT_ID}-01"
Sent = tuple[str, object, Mapping[str, str]]
"""The path, the JSON and the header fields of a request."""

NOT_SAMPLED = f"00-{TRACE_ID}-{PARENT_ID}-00"


@pytest.fixture
def application() -> Callable[[Service], Flask]:
    """With the direct routes only: Flask's are there too."""
    return create_app


@pytest.fixture(name="collector")
def _collector() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        receiver.otherwise = 200
        yield receiver


@contextmanager
def traced(
    service: Service, endpoint: str, deployment: Deployment, *, sample_ratio: float = 1.0
) -> Iterator[Front]:
    """A front over the service that sends traces there, all of which are sent at the end."""
    traces = Traces(endpoint, sample_ratio=sample_ratio, service_name="my-tokensvc")
    app = cast("Application", deployment.create_app(service))
    try:
        yield Front(app, threads=1, spans=RequestSpans(traces))
    finally:
        traces.close()


def send(front: Front, path: str = SINGLE, document: object = None, **headers: str) -> Answer:
    """The answer to a request."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = event_loop.run(Request(path, document, fields).send_to(front))
    assert answer is not None
    return answer


def spans_of(
    collector: WebhookReceiver,
    deployment: Deployment,
    requests: Sequence[Sent],
    **terms: float,
) -> Sequence[ReceivedSpan]:
    """The spans that the collector receives for these requests, in the order of their ends."""
    with traced(deployment.service, collector.url, deployment, **terms) as front:
        for path, document, headers in requests:
            send(front, path, document, **headers)
    return received_spans(collector.messages)


def test_a_request_and_what_it_calls(deployment: Deployment, collector: WebhookReceiver) -> None:
    """In the trace of the client: the request, the call of IVS, and the signature."""
    service = deployment.service_with(issuer=deployment.issuer_with())
    with traced(service, collector.url, deployment) as front:
        answer = send(
            front,
            document={"channel": "demo"},
            authorization=f"Bearer {deployment.key}",
            x_request_id="request-1",
            traceparent=SAMPLED,
        )
    assert answer.status == 200
    called, signed, request = received_spans(collector.messages)
    assert request.name == "POST /v1/playback-urls"
    assert (request.kind, request.trace_id, request.parent_id) == ("SERVER", TRACE_ID, PARENT_ID)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/playback-urls",
        "http.response.status_code": 200,
        "tokensvc.request_id": "request-1",
    }
    assert not request.is_error
    assert request.resource["service.name"] == "my-tokensvc"
    for child in (called, signed):
        assert (child.kind, child.trace_id) == ("CLIENT", TRACE_ID)
        assert child.parent_id == request.span_id
    assert called.name == "ivs.GetChannel"
    request_id = called.attributes.pop("aws.request_id")
    assert request_id
    assert called.attributes == {
        "rpc.system": "aws-api",
        "rpc.service": "ivs",
        "rpc.method": "GetChannel",
        "cloud.region": "us-west-2",
        "http.response.status_code": 200,
    }
    assert (signed.name, signed.attributes) == ("sign", {})


def test_a_refused_request_has_its_code(deployment: Deployment, collector: WebhookReceiver) -> None:
    """It is an error of the service only from 500 on. A path that is no route is not shown."""
    key = {"authorization": f"Bearer {deployment.key}"}
    spans = spans_of(
        collector,
        deployment,
        [
            (SINGLE, {"channel": "demo"}, {}),
            (SINGLE, {"channel": "unknown"}, key),
            ("/v1/bans/ban-of-a-viewer", None, key),
            ("/very/private", None, {}),
        ],
    )
    assert [
        (span.name, span.attributes["http.response.status_code"], span.attributes["tokensvc.code"])
        for span in spans
    ] == [
        ("POST /v1/playback-urls", 401, "unauthenticated"),
        ("POST /v1/playback-urls", 403, "not_entitled"),
        ("GET", 405, "method_not_allowed"),
        ("GET", 404, "not_found"),
    ]
    assert not any(span.is_error for span in spans)
    text = received_text(collector.messages)
    assert "private" not in text
    assert "ban-of-a-viewer" not in text


def test_an_error_of_the_service_is_an_error(
    deployment: Deployment, collector: WebhookReceiver
) -> None:
    """With its code; so is a call that AWS refuses, with AWS's code."""
    unknown = f"{str(deployment.channel).rpartition('/')[0]}/none"
    service = deployment.service_with(issuer=deployment.issuer_with())
    key = {"authorization": f"Bearer {deployment.key}"}
    with traced(service, collector.url, deployment) as front:
        assert send(front, document={"channel": unknown}, **key).status == 404
        deployment.audit.fails = True
        assert send(front, document={"channel": unknown}, **key).status == 500
        deployment.audit.fails = False
    errors = [
        (span.name, span.attributes["error.type"])
        for span in received_spans(collector.messages)
        if span.is_error
    ]
    assert errors == [
        ("ivs.GetChannel", "ResourceNotFoundException"),
        ("POST /v1/playback-urls", "internal_error"),
    ]


def test_the_route_of_a_path_with_an_id(deployment: Deployment, collector: WebhookReceiver) -> None:
    """The ID is what the client names."""
    headers = {"authorization": f"Bearer {deployment.key}"}
    (span,) = spans_of(collector, deployment, [("/docs/start.js", None, headers)])
    assert span.name == "GET /docs/<name>"
    assert span.attributes["http.route"] == "/docs/<name>"


def test_probes_have_no_span(deployment: Deployment, collector: WebhookReceiver) -> None:
    """There are many, and they say nothing."""
    probes: list[Sent] = [
        ("/healthz", None, {}),
        ("/readyz", None, {}),
        ("/v1/player.js", None, {}),
    ]
    assert [span.name for span in spans_of(collector, deployment, probes)] == ["GET /v1/player.js"]


@pytest.mark.parametrize(
    ("traceparent", "ratio", "traces"),
    [
        ("", 1.0, "new"),
        ("", 0.0, "none"),
        (SAMPLED, 0.0, "continued"),
        (NOT_SAMPLED, 1.0, "none"),
        ("00-short-01", 1.0, "new"),
        (f"00-{32 * '0'}-{PARENT_ID}-01", 1.0, "new"),
        (f"{SAMPLED}, {SAMPLED}", 1.0, "new"),
    ],
)
def test_which_requests_are_traced(
    deployment: Deployment, collector: WebhookReceiver, traceparent: str, ratio: float, traces: str
) -> None:
    """A valid traceparent decides, else the ratio."""
    request = ("/v1/player.js", None, {"traceparent": traceparent})
    spans = spans_of(collector, deployment, [request], sample_ratio=ratio)
    found = ["continued" if span.trace_id == TRACE_ID else "new" for span in spans]
    assert found == ([] if traces == "none" else [traces])
    assert all(span.parent_id == "" for span in spans if span.trace_id != TRACE_ID)


def test_nothing_else_of_the_trace_of_a_client_is_taken(
    deployment: Deployment, collector: WebhookReceiver
) -> None:
    """`tracestate` and `baggage` may have any text."""
    more = {"tracestate": "vendor=tsk_secret", "baggage": "user=ann"}
    request = ("/v1/player.js", None, {"traceparent": SAMPLED, **more})
    (span,) = spans_of(collector, deployment, [request])
    assert span.trace_id == TRACE_ID
    text = received_text(collector.messages)
    assert "tsk_secret" not in text
    assert "ann" not in text


def test_the_hook_continues_the_trace(deployment: Deployment, collector: WebhookReceiver) -> None:
    """Its own spans are parts of the question, whose span has no URL: it may be a secret."""
    with webhook_receiver() as hook, hooked(deployment, hook) as service:
        hook.behaviors = [b'{"decision": "allow"}', 500]
        key = {"authorization": f"Bearer {deployment.key}", "traceparent": SAMPLED}
        with traced(service, collector.url, deployment) as front:
            body = {"channel": "demo", "viewer_id": "viewer-of-a-trace"}
            assert send(front, document=body, **key).status == 200
            assert send(front, document=body, **key).status == 503
        sent = [message.headers["traceparent"] for message in hook.messages]
    spans = received_spans(collector.messages)
    asked = [span for span in spans if span.name == "ask entitlement hook"]
    assert sent == [f"00-{TRACE_ID}-{span.span_id}-01" for span in asked]
    requests = [span.span_id for span in spans if span.kind == "SERVER"]
    assert [span.parent_id for span in asked] == requests
    assert [span.attributes for span in asked] == [
        {"server.address": "127.0.0.1", "tokensvc.outcome": "allow"},
        {
            "server.address": "127.0.0.1",
            "tokensvc.outcome": "no_answer",
            "error.type": "no_answer",
        },
    ]
    text = received_text(collector.messages)
    assert "very-private-path" not in text
    assert "viewer-of-a-trace" not in text


def test_a_hook_gets_no_traceparent_without_traces(deployment: Deployment) -> None:
    """Not that of the client either."""
    with webhook_receiver() as hook, hooked(deployment, hook) as service:
        hook.otherwise = b'{"decision": "allow"}'
        front = Front(cast("Application", deployment.create_app(service)), threads=1)
        key = {"authorization": f"Bearer {deployment.key}", "traceparent": SAMPLED}
        assert send(front, document={"channel": "demo"}, **key).status == 200
        assert "traceparent" not in hook.messages[0].headers


@contextmanager
def hooked(deployment: Deployment, hook: WebhookReceiver) -> Iterator[Service]:
    """The service of the deployment, whose grant `open` asks the hook."""
    grants = deployment.settings.grants
    asking = grants["open"].model_copy(update={"entitlement": True})
    entitlement = EntitlementSettings(url=hook.url, secret=SecretStr(SECRET))
    settings = deployment.settings.model_copy(
        update={"grants": {**grants, "open": asking}, "entitlement": entitlement}
    )
    made = build(
        settings,
        deployment.world.clock,
        deployment.audit,
        state=deployment.world.state,
        rings=deployment.service.rings,
        bans=deployment.service.bans,
        directory=deployment.issuer._directory,
    )
    yield deployment.service_with(issuer=made.issuer, entitlement_hook=made.entitlement_hook)
    made.resources.close()
    join_senders()


# --- A collector that does not work


def test_a_collector_that_is_down_is_reported_once(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests are answered, and the spans are dropped."""
    endpoint = f"http://127.0.0.1:{unused_port()}/v1/traces"
    with traced(deployment.service, endpoint, deployment) as front:
        for _ in range(2 * MAX_BATCH):
            assert send(front, "/v1/player.js").status == 200
    (line,) = [each for each in caplog.records if each.name.startswith(("tokensvc", "opentel"))]
    assert (line.name, line.levelname) == ("tokensvc.telemetry.traces", "WARNING")


def test_a_collector_that_refuses_and_then_takes_spans(
    deployment: Deployment, collector: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is logged once, with the reason of the first refusal."""
    caplog.set_level("INFO", "tokensvc.telemetry")
    collector.behaviors = [404, 404]
    traces = Traces(collector.url, sample_ratio=1.0, service_name="tokensvc")
    for _ in range(4):
        traces.begin_request("", {}).end()
        traces._provider.force_flush()
    traces.close()
    levels = [each.levelname for each in caplog.records]
    assert levels == ["WARNING", "INFO"]
    assert "404" in caplog.messages[0]
    assert len(received_spans(collector.messages)) == 4


def test_a_collector_that_hangs_delays_no_request(
    deployment: Deployment, collector: WebhookReceiver
) -> None:
    """Requests are answered meanwhile, and most of what is more than the queue holds is dropped."""
    collector.otherwise = b""
    collector.answering.clear()
    traces = Traces(collector.url, sample_ratio=1.0, service_name="tokensvc")
    app = cast("Application", deployment.app())
    front = Front(app, threads=1, spans=RequestSpans(traces))
    for _ in range(4 * MAX_QUEUED):
        traces.begin_request("", {}).end()
    assert send(front, "/v1/player.js").status == 200
    assert not collector.answering.is_set()
    collector.answering.set()
    traces.close()
    assert MAX_BATCH <= len(received_spans(collector.messages)) <= 2 * MAX_QUEUED


# --- The current span


def test_a_span_is_current_only_in_its_request(
    deployment: Deployment, collector: WebhookReceiver
) -> None:
    """On the loop and in the thread of a request that waits; not afterwards."""
    seen: list[str] = []

    def application(environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
        seen.append(CURRENT.get().trace_id)
        may_wait()
        start_response("200 OK", [])
        return [b""]

    traces = Traces(collector.url, sample_ratio=1.0, service_name="tokensvc")
    front = Front(cast("Application", application), threads=1, spans=RequestSpans(traces))
    send(front, traceparent=SAMPLED)
    traces.close()
    assert seen == [TRACE_ID, TRACE_ID]
    assert CURRENT.get() is NO_SPAN


def test_a_request_whose_client_has_left_is_recorded(
    deployment: Deployment, collector: WebhookReceiver
) -> None:
    """Without a status: it was not answered."""
    service = deployment.service_with(issuer=deployment.issuer_with())
    items = {"requests": 100 * [{"channel": "demo"}]}
    key = {"authorization": f"Bearer {deployment.key}"}
    with traced(service, collector.url, deployment) as front:
        request = Request("/v1/playback-urls:batch", items, key)
        request.left.set()
        assert event_loop.run(request.send_to(front)) is None
    span = received_spans(collector.messages)[-1]
    assert span.name == "POST /v1/playback-urls:batch"
    assert span.attributes["error.type"] == "client_left"
    assert "http.response.status_code" not in span.attributes


def test_without_the_extra_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    require_otel()
    for package in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            with pytest.raises(SettingsInvalid) as caught:
                require_otel()
        assert "tokensvc[service,otel]" in caught.value.hint
