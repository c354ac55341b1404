"""The edge over HTTP: playback URLs as GetChannel gives them, and the session URLs behind them.

A player fetches the multivariant playlist with the token; from there on every URL carries the
session in its path. A refusal has IVS's shape: a JSON array of `url`, `error`, `error_code` and
`type`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from tokensvc.localivs.edge import playlists
from tokensvc.localivs.edge.refusals import (
    ChannelNotFoundError,
    ChannelOfflineError,
    OriginRefusedError,
    PlaybackRefusedError,
    Reason,
    SegmentNotFoundError,
    TokenRefusedError,
)
from tokensvc.localivs.edge.segments import bundled_loop
from tokensvc.localivs.edge.sessions import Sessions
from tokensvc.localivs.edge.verifier import verify
from tokensvc.localivs.errors import ChannelUnknownError

if TYPE_CHECKING:
    from tokensvc.localivs.clock import Clock
    from tokensvc.localivs.database import Database
    from tokensvc.localivs.edge.origins import OriginRule
    from tokensvc.localivs.edge.segments import MediaLoop, Rendition
    from tokensvc.localivs.edge.sessions import Session
    from tokensvc.localivs.edge.verifier import Admission
    from tokensvc.localivs.edge_reader import EdgeChannel, EdgeReader

CHANNEL_NAME = re.compile(
    r"(?P<region>[a-z0-9-]+)\.(?P<account_id>[0-9]+)\.channel\.(?P<channel_id>[a-zA-Z0-9-]+)"
)
CHANNEL_ARN = re.compile(
    r"arn:aws:ivs:(?P<region>[^:]+):(?P<account_id>[^:]+):channel/(?P<channel_id>.+)"
)
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp4"


def create_blueprint(database: Database, reader: EdgeReader, clock: Clock) -> Blueprint:
    """The playback edge, to be registered at the root of Local IVS's application."""
    edge = Edge(Sessions(database), reader, clock, bundled_loop())
    blueprint = Blueprint("edge", __name__)
    blueprint.add_url_rule("/api/video/v1/<name>.m3u8", view_func=edge.multivariant)
    blueprint.add_url_rule("/v1/playlist/<session_id>/<rendition>.m3u8", view_func=edge.variant)
    blueprint.add_url_rule("/v1/segment/<session_id>/<rendition>/init.mp4", view_func=edge.init)
    blueprint.add_url_rule(
        "/v1/segment/<session_id>/<rendition>/<int:sequence>.m4s", view_func=edge.segment
    )
    blueprint.register_error_handler(PlaybackRefusedError, refusal)
    blueprint.after_request(for_any_page)
    return blueprint


class Edge:
    """The views: each answers one kind of URL."""

    def __init__(
        self, sessions: Sessions, reader: EdgeReader, clock: Clock, loop: MediaLoop
    ) -> None:
        self._sessions = sessions
        self._reader = reader
        self._clock = clock
        self._loop = loop

    def multivariant(self, name: str) -> Response:
        """Open a session and list its renditions.

        Raises:
            PlaybackRefusedError: the token, the page, the viewer or the channel is against it.
        """
        now = self._clock.now()
        channel = self._channel(CHANNEL_NAME.fullmatch(name))
        admission = self._admit(channel, now) if channel.authorized else None
        if not channel.live:
            raise ChannelOfflineError("The channel is offline: nobody streams to it now.")
        session = self._sessions.open(channel.arn, admission, now)
        text = playlists.multivariant(
            self._loop,
            session.maximum_resolution,
            lambda resolution: f"/v1/playlist/{session.id}/{resolution.name.lower()}.m3u8",
        )
        return _answer(text, PLAYLIST_TYPE, session.origin_rule)

    def variant(self, session_id: str, rendition: str) -> Response:
        """The live playlist of one rendition.

        Raises:
            PlaybackRefusedError: the session has ended or isn't for this page or rendition.
        """
        now = self._clock.now()
        session = self._session(session_id, now)
        self._rendition(session, rendition)
        self._sessions.keep_alive(session, now)
        folder = f"/v1/segment/{session.id}/{rendition}"
        since = playlists.listed_since(self._loop.segment_seconds, now)
        text = playlists.variant(
            self._loop.segment_seconds,
            now,
            f"{folder}/init.mp4",
            lambda sequence: f"{folder}/{sequence}.m4s",
            self._reader.timed_metadata(session.channel_arn, since),
        )
        return _answer(text, PLAYLIST_TYPE, session.origin_rule)

    def init(self, session_id: str, rendition: str) -> Response:
        """What a player needs before any segment of a rendition.

        Raises:
            PlaybackRefusedError: as for `variant`.
        """
        session = self._session(session_id, self._clock.now())
        data = self._rendition(session, rendition).init
        return _answer(data, SEGMENT_TYPE, session.origin_rule)

    def segment(self, session_id: str, rendition: str, sequence: int) -> Response:
        """One media segment.

        Raises:
            PlaybackRefusedError: as for `variant`; or the segment is too old, or not there yet.
        """
        now = self._clock.now()
        session = self._session(session_id, now)
        found = self._rendition(session, rendition)
        if sequence not in playlists.servable(self._loop.segment_seconds, now):
            raise SegmentNotFoundError("The segment has left the stream, or isn't in it yet.")
        data = self._loop.segment(found, sequence)
        return _answer(data, SEGMENT_TYPE, session.origin_rule)

    def _admit(self, channel: EdgeChannel, now: float) -> Admission:
        admission = verify(
            _token(),
            channel_arn=channel.arn,
            public_keys=self._reader.public_keys(channel.region, channel.account_id, now),
            now=now,
        )
        if not admission.origin_rule.permits(request.headers.get("Origin")):
            raise OriginRefusedError(
                "The token is for other origins than this request's Origin header names."
            )
        return admission

    def _channel(self, name: re.Match[str] | None) -> EdgeChannel:
        if name is None:
            raise ChannelNotFoundError("No channel has such a URL: take it from GetChannel.")
        try:
            return self._reader.channel(**name.groupdict())
        except ChannelUnknownError as error:
            raise ChannelNotFoundError(str(error)) from error

    def _session(self, session_id: str, now: float) -> Session:
        session = self._sessions.get(session_id, now)
        if not session.origin_rule.permits_in_session(request.headers.get("Origin")):
            raise OriginRefusedError(
                "The session's token asks for its own origins on every request, and this request's "
                'Origin header isn\'t one (a <video> sends one with crossorigin="anonymous").'
            )
        if not self._channel(CHANNEL_ARN.fullmatch(session.channel_arn)).live:
            raise ChannelOfflineError("The channel has gone offline.")
        return session

    def _rendition(self, session: Session, name: str) -> Rendition:
        for each in self._loop.renditions:
            allowed = each.resolution <= session.maximum_resolution
            if allowed and each.resolution.name.lower() == name:
                return each
        raise SegmentNotFoundError("This session has no such rendition.")


def refusal(error: PlaybackRefusedError) -> Response:
    """A refusal in IVS's shape; the URL in it is the request's, without the token."""
    parameters = [item for item in request.args.items(multi=True) if item[0] != "token"]
    url = request.base_url + ("?" + urlencode(parameters) if parameters else "")
    response = jsonify(
        [{"url": url, "error": str(error), "error_code": error.error_code, "type": "error"}]
    )
    response.status_code = error.http_status
    return response


def for_any_page(response: Response) -> Response:
    """Let scripts of any page read the answer, unless the view has named the one that may.

    Refusals are for every page, so that a page can tell its viewer why; and nothing is stored,
    because a session can end at any moment.
    """
    response.headers.setdefault("Access-Control-Allow-Origin", "*")
    response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
    response.headers["Access-Control-Allow-Headers"] = "*"
    response.headers["Access-Control-Max-Age"] = "600"
    response.headers["Cache-Control"] = "no-store"
    return response


def _answer(body: str | bytes, content_type: str, origin_rule: OriginRule) -> Response:
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
