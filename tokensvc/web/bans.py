"""`GET /v1/bans` and `DELETE /v1/bans/{ban_id}`: list and lift bans, with the scope `moderate`.

A caller sees the bans on the channels that its grants cover. Bans on all channels are seen by
callers whose grants cover every channel that any grant covers.
"""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, jsonify, request

from tokensvc.access.bans import auditing
from tokensvc.access.bans.book import no_such_ban
from tokensvc.access.bans.listing import Page, Query, members_of
from tokensvc.access.callers import Caller
from tokensvc.errors import InvalidRequest, Problem
from tokensvc.service import Service
from tokensvc.waiting import may_wait
from tokensvc.web.headers import request_id
from tokensvc.web.identity import authenticate_request

PATH: Final = "/v1/bans"
MAX_PAGE: Final = 500
_DEFAULT_PAGE: Final = 100
_PARAMETERS: Final = frozenset({"limit", "after", "viewer_id", "channel", "include_ended"})


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with both routes."""
    routes = Blueprint("bans", __name__)

    @routes.get(PATH)
    def list_bans() -> Response:
        reach = service.moderation.reach(_moderator(service))
        query, limit = _query(service), _limit()
        now = service.clock.now()
        matching = (ban for ban in service.bans.refresh().bans if query.matches(ban, now))
        page = Page.of(reach.of(matching), limit=limit, after=request.args.get("after"))
        return jsonify(bans=[members_of(ban, now) for ban in page.bans], next=page.next)

    @routes.delete(f"{PATH}/<ban_id>")
    def lift(ban_id: str) -> Response:
        caller = _moderator(service)
        reach = service.moderation.reach(caller)
        if not reach.includes(service.bans.refresh().find(ban_id)):
            raise no_such_ban(ban_id)
        ban = service.moderation.writer.lift(ban_id, by=caller.caller_id)
        service.bans.refresh()  # So that this worker lets the viewer in at once.
        now = service.clock.now()
        service.audit.write(
            auditing.lifted(ban, at=now, by=caller.caller_id, request_id=request_id())
        )
        return jsonify(members_of(ban, now))

    return routes


def _moderator(service: Service) -> Caller:
    """The caller, who may moderate, where waiting is possible."""
    caller = authenticate_request(request.environ, service)
    caller.require("moderate")
    may_wait()  # Here, so that a client without a key takes no thread.
    return caller


def _query(service: Service) -> Query:
    if request.args.keys() - _PARAMETERS:
        names = ", ".join(sorted(_PARAMETERS))
        raise _invalid("", "unknown_field", f"The parameters of this request are: {names}.")
    include_ended = request.args.get("include_ended", "false")
    if include_ended not in {"true", "false"}:
        raise _invalid("include_ended", "bool_type", "include_ended must be true or false.")
    channel = request.args.get("channel")
    if channel is not None:
        channel = str(service.moderation.channel_names.get(channel, channel))
    return Query(request.args.get("viewer_id"), channel, include_ended == "true")


def _limit() -> int:
    text = request.args.get("limit", str(_DEFAULT_PAGE))
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_PAGE):
        raise _invalid("limit", "page_size", f"limit must be a number from 1 to {MAX_PAGE}.")
    return int(text)


def _invalid(field: str, rule: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, problems=(Problem(field, rule, message),))
