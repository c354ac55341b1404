"""What one request for a known channel costs, in counts, which are the same on every machine."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType
from typing import cast

import pytest

import tokensvc
from tests.support import event_loop
from tests.support.deployment import Deployment
from tests.support.front_requests import Request
from tests.support.oidc_deployment import oidc_deployment
from tokensvc.access.request_limits import RequestLimits, RequestRates
from tokensvc.audit import MeteredAudit
from tokensvc.audit_output import AuditOutput
from tokensvc.clock import SystemClock
from tokensvc.playback.recent_decisions import RecentDecisions
from tokensvc.rates import OneProcess
from tokensvc.telemetry.metrics import PrometheusMeter
from tokensvc.web.app import create_app
from tokensvc.web.front import Application, Front
from tokensvc.web.metrics import ROUTES

MAX_PYTHON_CALLS = 205
"""The measured number. Raise it only for something that is worth its time."""

MAX_CALLS_OF_A_USER = 4
"""More, for a remembered token: the user of an identity provider is always the viewer."""

MAX_CALLS_OF_LIMITS = 30
"""Of what the settings [limits] and [cors] add to a request of an API key for a viewer ID."""

MAX_CALLS_OF_OPS_PAGE = 1
"""To keep the decision for the page of operators."""

MAX_CALLS_OF_METRICS = 23
"""Of counting, in a service with metrics: 8 µs, with files that workers share."""

PACKAGE = Path(tokensvc.__file__).parent
# What reads a file, connects, queries a database, or gives work to a thread, in C and in Python.
WAITING = {
    "_io.open",  # Its name from Python 3.12 on.
    "io.open",
    "posix.open",
    "posix.read",
    "socket.connect",
    "Connection.execute",
    "Cursor.execute",
    "Thread.start",
    "ThreadPoolExecutor.submit",
}


@dataclass
class Calls:
    """The calls of one request.

    Attributes:
        python: how often each Python function was called.
        names: the qualified names of the functions that were called, in Python or in C.
    """

    python: Counter[CodeType] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)

    def note(self, frame: FrameType, event: str, function: object) -> None:
        """Called by the interpreter for each call."""
        if event == "call":
            self.python[frame.f_code] += 1
            self.names.add(frame.f_code.co_qualname)
        elif event == "c_call" and isinstance(function, BuiltinFunctionType):
            self.names.add(".".join(filter(None, (function.__module__, function.__qualname__))))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe, as standard output of a service: where it is read, and where it is written."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


@pytest.fixture
def front(deployment: Deployment, pipe: tuple[int, int]) -> Iterator[Front]:
    """A front whose application writes its audit to the pipe."""
    with closing(AuditOutput(pipe[1])) as audit:
        issuer = deployment.issuer_with(audit=audit)
        app = deployment.create_app(deployment.service_with(issuer=issuer, audit=audit))
        yield Front(cast("Application", app), threads=1)


def calls_of(deployment: Deployment, front: Front, viewer_id: str | None, token: str = "") -> Calls:
    """The calls of a request for the private channel, which must be granted.

    It has the deployment's API key, or the token of an issuer, whose user is the viewer.
    """
    calls = Calls()
    body = {"channel": "demo", "viewer_id": viewer_id, "ttl_seconds": 300}
    headers = {"authorization": f"Bearer {token or deployment.key}"}
    request = Request("/v1/playback-urls", body, headers)
    request.around = lambda: sys.setprofile(calls.note), lambda: sys.setprofile(None)
    gc.disable()  # A collection calls what others registered for it, such as hypothesis.
    try:
        answer = event_loop.run(request.send_to(front))
    finally:
        gc.enable()
    assert answer is not None
    assert answer.status == 200
    return calls


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_request_for_a_known_channel(
    deployment: Deployment, front: Front, pipe: tuple[int, int]
) -> None:
    """One signature and one audit line; no IVS, state, disk or thread; few Python calls."""
    unknown = calls_of(deployment, front, "viewer-1")
    assert {"Thread.start", "ThreadPoolExecutor.submit"} & unknown.names  # The guard sees it.
    os.read(pipe[0], 65_536)

    calls = calls_of(deployment, front, "viewer-2")

    (line,) = os.read(pipe[0], 65_536).splitlines()
    assert b'"viewer_id":"viewer-2"' in line
    assert [count for code, count in calls.python.items() if is_signature(code)] == [1]
    assert calls.names & WAITING == set()
    assert calls.python.total() <= MAX_PYTHON_CALLS


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_request_with_a_remembered_token_of_an_issuer(
    deployment: Deployment, pipe: tuple[int, int]
) -> None:
    """The same: its token is not verified again, and the issuer is not called."""
    with closing(AuditOutput(pipe[1])) as audit, oidc_deployment(deployment) as oidc:
        issuer = deployment.issuer_with(audit=audit)
        service = deployment.service_with(issuer=issuer, audit=audit, oidc=oidc.callers)
        front = Front(cast("Application", deployment.create_app(service)), threads=1)
        token = oidc.token()
        first = calls_of(deployment, front, None, token)
        assert "verified_claims" in first.names
        os.read(pipe[0], 65_536)

        calls = calls_of(deployment, front, None, token)

        assert b'"caller_id":"oidc:main:' in os.read(pipe[0], 65_536)
        assert [count for code, count in calls.python.items() if is_signature(code)] == [1]
        assert "verified_claims" not in calls.names
        assert calls.names & WAITING == set()
        assert calls.python.total() <= MAX_PYTHON_CALLS + MAX_CALLS_OF_A_USER
        assert oidc.issuer.fetches == 1


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_request_with_limits_and_an_origin(deployment: Deployment, pipe: tuple[int, int]) -> None:
    """Counted for its caller and its viewer, with CORS: some calls more, and nothing that waits."""
    rates = RequestRates(caller_per_second=1_000, viewer_per_minute=1_000)
    with closing(AuditOutput(pipe[1])) as audit:
        service = deployment.service_with(
            issuer=deployment.issuer_with(audit=audit),
            audit=audit,
            request_limits=RequestLimits.of(rates, SystemClock(), OneProcess(), (), audit),
            allowed_origins=("https://www.example.com",),
        )
        front = Front(cast("Application", deployment.create_app(service)), threads=1)
        calls_of(deployment, front, "viewer-1")
        calls = calls_of(deployment, front, "viewer-2")
    assert calls.names & WAITING == set()
    assert calls.python.total() <= MAX_PYTHON_CALLS + MAX_CALLS_OF_LIMITS


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_request_with_the_page_for_operators(
    deployment: Deployment, pipe: tuple[int, int]
) -> None:
    """Its decision is kept in memory too."""
    with closing(AuditOutput(pipe[1])) as output:
        audit = RecentDecisions(output, SystemClock())
        service = deployment.service_with(
            issuer=deployment.issuer_with(audit=audit), audit=audit, recent_decisions=audit
        )
        front = Front(cast("Application", deployment.create_app(service)), threads=1)
        calls_of(deployment, front, "viewer-1")
        calls = calls_of(deployment, front, "viewer-2")
    assert calls.names & WAITING == set()
    assert calls.python.total() <= MAX_PYTHON_CALLS + MAX_CALLS_OF_OPS_PAGE
    assert len(audit.latest()) == 2


@pytest.mark.parametrize("application", [create_app], indirect=True)
def test_a_request_with_metrics(deployment: Deployment, pipe: tuple[int, int]) -> None:
    """Counted as granted, timed, and its signature too: some calls more, and nothing that waits."""
    meter = PrometheusMeter(ROUTES)
    with closing(AuditOutput(pipe[1])) as output:
        audit = MeteredAudit(output, meter)
        service = deployment.service_with(
            issuer=deployment.issuer_with(audit=audit, meter=meter), audit=audit
        )
        app = cast("Application", deployment.create_app(service))
        front = Front(app, threads=1, meter=meter)
        calls_of(deployment, front, "viewer-1")
        calls = calls_of(deployment, front, "viewer-2")
    assert calls.names & WAITING == set()
    assert calls.python.total() <= MAX_PYTHON_CALLS + MAX_CALLS_OF_METRICS


def is_signature(code: CodeType) -> bool:
    """Whether that is the function of a signer which signs."""
    return code.co_name == "sign" and Path(code.co_filename) == PACKAGE / "token" / "p384.py"
