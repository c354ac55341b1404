"""The edge over HTTP: the playback URLs that GetChannel returns, and the session URLs.

A player fetches the multivariant playlist with the token. All URLs in that playlist carry the
session ID in their path instead. A refused request gets IVS's error format: a JSON array of one
object with `url`, `error`, `error_code` and `type`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from local_ivs.edge import playlists
from local_ivs.edge.refusals import (
    ChannelNotFoundError,
    ChannelOfflineError,
    OriginRefusedError,
    PlaybackRefusedError,
    Reason,
    SegmentNotFoundError,
    TokenRefusedError,
)
from local_ivs.edge.segments import bundled_loop
from local_ivs.edge.sessions import Sessions
from local_ivs.edge.timed_id3 import event_message
from local_ivs.edge.verifier import verify
from local_ivs.errors import ChannelUnknownError

if TYPE_CHECKING:
    from local_ivs.clock import Clock
    from local_ivs.database import Database
    from local_ivs.edge.origins import OriginRule
    from local_ivs.edge.playlists import Window
    from local_ivs.edge.segments import MediaLoop, Rendition
    from local_ivs.edge.sessions import Session
    from local_ivs.edge.verifier import Admission
    from local_ivs.edge_reader import EdgeChannel, EdgeReader

CHANNEL_NAME = re.compile(
    r"(?P<region>[a-z0-9-]+)\.(?P<account_id>[0-9]+)\.channel\.(?P<channel_id>[a-zA-Z0-9-]+)"
)
CHANNEL_ARN = re.compile(
    r"arn:aws:ivs:(?P<region>[^:]+):(?P<account_id>[^:]+):channel/(?P<channel_id>.+)"
)
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp4"


def create_blueprint(database: Database, reader: EdgeReader, clock: Clock) -> Blueprint:
    """Return the playback edge. Register it at the root of Local IVS's application."""
    edge = Edge(Sessions(database), reader, clock, bundled_loop())
    blueprint = Blueprint("edge", __name__)
    blueprint.add_url_rule("/api/video/v1/<name>.m3u8", view_func=edge.multivariant)
    blueprint.add_url_rule("/v1/playlist/<session_id>/<rendition>.m3u8", view_func=edge.variant)
    blueprint.add_url_rule("/v1/segment/<session_id>/<rendition>/init.mp4", view_func=edge.init)
    blueprint.add_url_rule(
        "/v1/segment/<session_id>/<rendition>/<int:sequence>.m4s", view_func=edge.segment
    )
    blueprint.register_error_handler(PlaybackRefusedError, refusal)
    blueprint.after_request(add_cors_and_cache_headers)
    return blueprint


class Edge:
    """The views: one method for each kind of URL."""

    def __init__(
        self, sessions: Sessions, reader: EdgeReader, clock: Clock, loop: MediaLoop
    ) -> None:
        self._sessions = sessions
        self._reader = reader
        self._clock = clock
        self._loop = loop

    def multivariant(self, name: str) -> Response:
        """Open a session and return the playlist of its renditions.

        A HEAD request is answered alike, but opens no session and uses up no single-use token.

        Raises:
            PlaybackRefusedError: the token is not valid, the Origin header is not allowed, the
                viewer is revoked, or the channel is offline or doesn't exist.
        """
        now = self._clock.now()
        channel = self._channel(CHANNEL_NAME.fullmatch(name))
        admission = self._admit(channel, now) if channel.authorized else None
        if not channel.live:
            raise ChannelOfflineError("The channel is offline. Start a stream, then try again.")
        is_head = request.method == "HEAD"
        start = self._sessions.preview if is_head else self._sessions.open
        session = start(channel.arn, admission, now)
        text = playlists.multivariant(
            self._loop,
            session.maximum_resolution,
            lambda resolution: f"/v1/playlist/{session.id}/{resolution.name.lower()}.m3u8",
        )
        return _response(text, PLAYLIST_TYPE, session.origin_rule)

    def variant(self, session_id: str, rendition: str) -> Response:
        """Return the playlist of one rendition, with an end tag if the stream has ended.

        Raises:
            PlaybackRefusedError: the session has expired, its viewer was revoked, the channel was
                deleted, or the session doesn't allow this Origin header or this rendition.
        """
        now = self._clock.now()
        session, window = self._session(session_id, now)
        self._rendition(session, rendition)
        self._sessions.keep_alive(session, now)
        folder = f"/v1/segment/{session.id}/{rendition}"
        since, _ = playlists.segment_times(self._loop.segment_seconds, window.segments.start)
        text = playlists.variant(
            self._loop.segment_seconds,
            window,
            f"{folder}/init.mp4",
            lambda sequence: f"{folder}/{sequence}.m4s",
            self._reader.timed_metadata(session.channel_arn, since),
        )
        return _response(text, PLAYLIST_TYPE, session.origin_rule)

    def init(self, session_id: str, rendition: str) -> Response:
        """Return a rendition's init segment, which a player needs before any media segment.

        Raises:
            PlaybackRefusedError: as for `variant`.
        """
        session, _ = self._session(session_id, self._clock.now())
        data = self._rendition(session, rendition).init
        return _response(data, SEGMENT_TYPE, session.origin_rule)

    def segment(self, session_id: str, rendition: str, sequence: int) -> Response:
        """Return one media segment, with the metadata that was put into the stream during it.

        Raises:
            PlaybackRefusedError: as for `variant`, or the segment is too old or not complete yet.
        """
        session, window = self._session(session_id, self._clock.now())
        found = self._rendition(session, rendition)
        if sequence not in window.servable:
            raise SegmentNotFoundError("The segment is too old, or is not in the stream yet.")
        messages = self._event_messages(session.channel_arn, sequence)
        data = messages + self._loop.segment(found, sequence)
        return _response(data, SEGMENT_TYPE, session.origin_rule)

    def _event_messages(self, channel_arn: str, sequence: int) -> bytes:
        start, end = playlists.segment_times(self._loop.segment_seconds, sequence)
        found = self._reader.timed_metadata(channel_arn, start, end)
        return b"".join(event_message(put, start) for put in found)

    def _admit(self, channel: EdgeChannel, now: float) -> Admission:
        admission = verify(
            _token(),
            channel_arn=channel.arn,
            public_keys=self._reader.public_keys(channel.region, channel.account_id, now),
            now=now,
        )
        if not admission.origin_rule.permits(request.headers.get("Origin")):
            raise OriginRefusedError(
                "The token's aws:access-control-allow-origin claim doesn't allow this request's "
                "Origin header."
            )
        return admission

    def _channel(self, name: re.Match[str] | None) -> EdgeChannel:
        if name is None:
            raise ChannelNotFoundError(
                "The URL is not a playback URL. Use the playbackUrl that GetChannel returns."
            )
        try:
            return self._reader.channel(**name.groupdict())
        except ChannelUnknownError as error:
            raise ChannelNotFoundError(str(error)) from error

    def _session(self, session_id: str, now: float) -> tuple[Session, Window]:
        session = self._sessions.get(session_id, now)
        if not session.origin_rule.permits_in_session(request.headers.get("Origin")):
            raise OriginRefusedError(
                "This session allows its own origins only, on every request. This request has no "
                "Origin header, or one that is not allowed. To make a <video> element send the "
                'header, set crossorigin="anonymous".'
            )
        channel = self._channel(CHANNEL_ARN.fullmatch(session.channel_arn))
        return session, self._window(channel, now)

    def _window(self, channel: EdgeChannel, now: float) -> Window:
        if channel.live:
            return playlists.live_window(self._loop.segment_seconds, now)
        if channel.ended_at is None:
            raise ChannelOfflineError("The channel is offline.")
        return playlists.final_window(self._loop.segment_seconds, channel.ended_at)

    def _rendition(self, session: Session, name: str) -> Rendition:
        for each in self._loop.renditions:
            allowed = each.resolution <= session.maximum_resolution
            if allowed and each.resolution.name.lower() == name:
                return each
        raise SegmentNotFoundError(f"This session has no rendition named {name!r}.")


def refusal(error: PlaybackRefusedError) -> Response:
    """Return a refusal in IVS's format. Its `url` is the request's URL without the token."""
    parameters = [item for item in request.args.items(multi=True) if item[0] != "token"]
    url = request.base_url + ("?" + urlencode(parameters) if parameters else "")
    response = jsonify(
        [{"url": url, "error": str(error), "error_code": error.error_code, "type": "error"}]
    )
    response.status_code = error.http_status
    return response


def add_cors_and_cache_headers(response: Response) -> Response:
    """Let scripts of any page read the response, unless the view has allowed one origin only.

    Scripts of every page can read a refusal, so that a page can show the reason. No response may be
    cached, because a session can end at any time.
    """
    response.headers.setdefault("Access-Control-Allow-Origin", "*")
    response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    response.headers["Access-Control-Allow-Headers"] = "*"
    response.headers["Access-Control-Max-Age"] = "600"
    response.headers["Cache-Control"] = "no-store"
    return response


def _response(body: str | bytes, content_type: str, origin_rule: OriginRule) -> Response:
    response = Response(body, content_type=content_type)
    origin = request.headers.get("Origin")
    if origin_rule.allowed is not None and origin is not None and origin_rule.permits(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"
    return response


def _token() -> str | None:
    tokens = request.args.getlist("token")
    if len(tokens) > 1:
        raise TokenRefusedError(Reason.MALFORMED, "The URL has more than one token parameter.")
    return tokens[0] if tokens else None
