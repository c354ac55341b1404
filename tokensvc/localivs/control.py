"""The control API under `/_local/`: what a test or a person does to Local IVS, not to IVS.

Plain JSON, unsigned and without CORS, so that no page of another origin can use it. It takes a
channel live or offline; `GET /_local/` lists what there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from tokensvc.localivs.errors import ControlError
from tokensvc.localivs.identifiers import stream_id

if TYPE_CHECKING:
    from tokensvc.localivs.clock import Clock
    from tokensvc.localivs.database import Database

HEALTHS = ("HEALTHY", "STARVING", "UNKNOWN")  # botocore model: StreamHealth
INDEX = {
    "PUT /_local/streams": '{"channel_arn": "arn:aws:ivs:...", "live": true, "health": "HEALTHY"} '
    "takes a channel live, or offline with false",
}


def create_blueprint(*, database: Database, clock: Clock) -> Blueprint:
    """The routes under `/_local/`."""
    blueprint = Blueprint("local", __name__, url_prefix="/_local")

    @blueprint.get("/")
    def index() -> Response:
        return jsonify(service="Local IVS", now=clock.now(), calls=INDEX)

    @blueprint.put("/streams")
    def put_stream() -> Response:
        document = _document()
        arn = _member(document, "channel_arn", str)
        live = _member(document, "live", bool)
        health = document.get("health", HEALTHS[0])
        set_live(database, arn, live=live, health=health, now=clock.now())
        return jsonify(channel_arn=arn, live=live)

    @blueprint.errorhandler(ControlError)
    def refuse(error: ControlError) -> tuple[Response, int]:
        return jsonify(error=str(error)), error.http_status

    return blueprint


def set_live(
    database: Database, channel_arn: str, *, live: bool, health: str = HEALTHS[0], now: float
) -> None:
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


def _document() -> dict[str, Any]:
    document = request.get_json(silent=True)
    if not isinstance(document, dict):
        raise ControlError("Send a JSON object with Content-Type: application/json.")
    return document


def _member(document: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        raise ControlError(f"{name} is required, as a JSON {kind.__name__}; see GET /_local/.")
    return value
