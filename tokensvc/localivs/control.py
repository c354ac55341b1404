"""The control API under `/_local/`: what a test or a person does to Local IVS, not to IVS.

Plain JSON, unsigned, for loopback: it takes channels live, plans faults, moves the clock and tells
the last requests. `GET /_local/` lists what there is. No page of another origin can use it: it has
no CORS, wants a JSON content type, and answers by no name that a name server could point here.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request

from tokensvc.localivs.api import METHODS
from tokensvc.localivs.errors import ControlError
from tokensvc.localivs.faults import ANY_OPERATION, Fault, FaultKind, Faults
from tokensvc.localivs.identifiers import stream_id
from tokensvc.localivs.moments import rfc3339
from tokensvc.localivs.operations import READING, WRITING

if TYPE_CHECKING:
    from tokensvc.localivs.clock import MovableClock
    from tokensvc.localivs.database import Database
    from tokensvc.localivs.recent import RecentRequests

HEALTHS = ("HEALTHY", "STARVING", "UNKNOWN")  # botocore model: StreamHealth
FURTHEST_SECONDS = 10 * 366 * 86_400.0
INDEX = {
    "PUT /_local/streams": '{"channel_arn": "arn:aws:ivs:...", "live": true, "health": "HEALTHY"} '
    "takes a channel live, or offline with false",
    "POST /_local/faults": '{"operation": "GetChannel", "kind": "error", "error": '
    '"ThrottlingException", "seconds": 0, "times": 1}; operation * is any; kinds: slow, error, '
    "drop (no answer, no effect), lose_answer (effect, but no answer), each after so many seconds",
    "GET /_local/faults": "the faults that no call has met yet",
    "DELETE /_local/faults": "forgets them",
    "PUT /_local/clock": '{"offset_seconds": 3600} moves the clock ahead of the machine\'s, or '
    "behind with a negative number",
    "GET /_local/clock": "the time by that clock",
    "GET /_local/requests": "the last requests, newest first",
    "GET /_local/overview": "all of the state, as the page at / shows it",
}


def create_blueprint(database: Database, clock: MovableClock, recent: RecentRequests) -> Blueprint:
    """The routes under `/_local/`."""
    views = Control(database, clock, recent)
    blueprint = Blueprint("local", __name__, url_prefix="/_local")
    blueprint.get("/")(views.index)
    blueprint.put("/streams")(views.put_stream)
    blueprint.post("/faults")(views.post_fault)
    blueprint.get("/faults")(views.get_faults)
    blueprint.delete("/faults")(views.delete_faults)
    blueprint.get("/clock")(views.get_clock)
    blueprint.put("/clock")(views.put_clock)
    blueprint.get("/requests")(views.get_requests)
    blueprint.route("/<path:path>", methods=METHODS)(views.nothing)
    protect(blueprint)
    return blueprint


def protect(blueprint: Blueprint) -> None:
    """Let the blueprint answer by an IP address or as localhost only, and tell its refusals."""
    blueprint.before_request(_refuse_names)
    blueprint.register_error_handler(ControlError, refusal)


class Control:
    """The views: each does what its line in `INDEX` says."""

    def __init__(self, database: Database, clock: MovableClock, recent: RecentRequests) -> None:
        self._database = database
        self._clock = clock
        self._recent = recent
        self._faults = Faults(database)

    def index(self) -> Response:
        """What there is."""
        return jsonify(service="Local IVS", calls=INDEX)

    def nothing(self, path: str) -> Response:
        """What isn't there.

        Raises:
            ControlError: always.
        """
        raise ControlError(
            f"There is no {request.method} /_local/{path}; GET /_local/ lists what there is.", 404
        )

    def put_stream(self) -> Response:
        """Take a channel live or offline."""
        document = _document("channel_arn", "live", "health")
        arn = _member(document, "channel_arn", str)
        live = _member(document, "live", bool)
        health = _member(document, "health", str, default=HEALTHS[0])
        set_live(self._database, arn, live=live, health=health, now=self._clock.now())
        return jsonify(channel_arn=arn, live=live)

    def post_fault(self) -> tuple[Response, int]:
        """Plan a fault."""
        fault = read_fault(_document("operation", "kind", "error", "seconds", "times"))
        self._faults.plan(fault)
        return jsonify(asdict(fault)), 201

    def get_faults(self) -> Response:
        """The faults that wait."""
        return jsonify(faults=[asdict(fault) for fault in self._faults.waiting()])

    def delete_faults(self) -> Response:
        """Forget the faults that wait."""
        self._faults.clear()
        return self.get_faults()

    def get_clock(self) -> Response:
        """The time."""
        now, offset_seconds = self._clock.now(), self._clock.offset_seconds()
        return jsonify(now=rfc3339(now), offset_seconds=offset_seconds)

    def put_clock(self) -> Response:
        """Move the time."""
        offset_seconds = _member(_document("offset_seconds"), "offset_seconds", (int, float))
        if not abs(offset_seconds) <= FURTHEST_SECONDS:
            raise ControlError(f"offset_seconds is at most {FURTHEST_SECONDS:.0f}, ten years.")
        self._clock.move(offset_seconds)
        return self.get_clock()

    def get_requests(self) -> Response:
        """The last requests."""
        return jsonify(requests=[each.document() for each in self._recent.latest()])


def refusal(error: ControlError) -> tuple[Response, int]:
    """A request that is wrong, told in JSON."""
    return jsonify(error=str(error)), error.http_status


def read_fault(document: dict[str, Any]) -> Fault:
    """The fault that a JSON document describes.

    Raises:
        ControlError: names the member that is missing or wrong.
    """
    operation = _member(document, "operation", str)
    if operation not in {ANY_OPERATION, *READING, *WRITING}:
        raise ControlError(f"Local IVS does not serve {operation}; * is any operation.")
    kind = _member(document, "kind", str)
    if kind not in tuple(FaultKind):
        raise ControlError(f"kind must be one of {', '.join(FaultKind)}.")
    return Fault(
        operation=operation,
        kind=FaultKind(kind),
        error=_member(document, "error", str, default=""),
        seconds=_member(document, "seconds", (int, float), default=0.0),
        times=_member(document, "times", int, default=1),
    )


def set_live(database: Database, channel_arn: str, *, live: bool, health: str, now: float) -> None:
    """Begin or end the channel's stream; one that is live already goes on, in that health.

    Raises:
        ControlError: there is no such channel, or no such health.
    """
    if health not in HEALTHS:
        raise ControlError(f"health must be one of {', '.join(HEALTHS)}.")
    with database.transaction() as connection:
        known = connection.execute("SELECT 1 FROM channels WHERE arn = ?", (channel_arn,))
        if known.fetchone() is None:
            raise ControlError(f"There is no channel {channel_arn}; create it first.", 404)
        if live:
            connection.execute(
                "INSERT INTO streams (channel_arn, stream_id, started_at, health)"
                " VALUES (?, ?, ?, ?)"
                " ON CONFLICT (channel_arn) DO UPDATE SET health = excluded.health",
                (channel_arn, stream_id(), now, health),
            )
        else:
            connection.execute("DELETE FROM streams WHERE channel_arn = ?", (channel_arn,))


def _refuse_names() -> None:
    """Refuse a page that had its own name pointed here (DNS rebinding): to a browser it is ours."""
    try:
        host = urlsplit(request.host_url).hostname or ""
        ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ControlError(
            "This answers by an IP address or as localhost only: use http://127.0.0.1 and the port "
            "of Local IVS.",
            403,
        ) from None


def _document(*members: str) -> dict[str, Any]:
    """The request's JSON object, which has no other members than these.

    Raises:
        ControlError: it is something else.
    """
    try:
        document = request.get_json(silent=True)
        # An escaped half of a surrogate pair is no text: the state can't be asked for it.
        json.dumps(document, ensure_ascii=False).encode()
    except (RecursionError, UnicodeEncodeError):
        document = None
    if not isinstance(document, dict):
        raise ControlError("Send a JSON object with Content-Type: application/json.")
    if unknown := sorted(document.keys() - set(members)):
        raise ControlError(f"{', '.join(unknown)}: unknown here; GET /_local/ shows what is known.")
    return document


def _member(
    document: dict[str, Any],
    name: str,
    kind: type[Any] | tuple[type[Any], ...],
    default: Any = None,
) -> Any:
    """A member of that type; the default, if there is one, where it is absent."""
    value = document.get(name, default)
    # To Python a boolean is an integer; to JSON it isn't a number.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ControlError(f"{name} is missing or of the wrong type; GET /_local/ shows how.")
    return value
