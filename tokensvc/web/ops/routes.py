"""`GET /ops`: the page for operators. `GET /v1/ops`: what it shows, with the scope `operate`.

Both exist only if `service.ops_page` is set. The page has no secret and needs no API key; the data
do. They come from what this process has in memory, so that an open page costs no call to Amazon IVS
and no read of the state.
"""

from __future__ import annotations

import math
import os
from importlib import resources
from typing import Final

from flask import Blueprint, Response, abort, jsonify, request

from tokensvc import __version__
from tokensvc.access.bans.book import BanBook
from tokensvc.clock import Moment, rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.playback.recent_decisions import RecentDecisions
from tokensvc.service import Service
from tokensvc.waiting import may_wait
from tokensvc.web.health import checks_of
from tokensvc.web.http1 import DRAINING
from tokensvc.web.identity import authenticate_request
from tokensvc.web.openapi.answers import ReadinessCheck
from tokensvc.web.ops.activity import bans_of, channels_of, decisions_of, views_of
from tokensvc.web.ops.answers import OpsAnswer
from tokensvc.web.ops.regions import regions_of

PAGE_PATH: Final = "/ops"
DATA_PATH: Final = "/v1/ops"

_FOLDER: Final = "static/ops"
_PAGE: Final = "index.html"
_CONTENT_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Scripts, styles and data of this origin only, nothing inline, and no text is parsed as HTML."""


def create_blueprint(service: Service, recent: RecentDecisions) -> Blueprint:
    """The blueprint with these routes.

    Args:
        service: the service.
        recent: its last decisions.
    """
    routes = Blueprint("ops", __name__)
    folder = resources.files("tokensvc.web").joinpath(_FOLDER)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}

    @routes.get(DATA_PATH)
    def data() -> Response:
        authenticate_request(request.environ, service).require("operate")
        may_wait()  # To count many bans takes longer than a turn of the event loop may.
        moment = Moment.of(service.clock)
        answer = OpsAnswer(
            at=rfc3339(moment.now),
            process_id=os.getpid(),
            processes=round(service.replicas.count),
            version=__version__,
            checks=_checks(service, is_draining=request.environ.get(DRAINING, False)),
            regions=regions_of(service, moment.now),
            views=views_of(service, moment),
            decisions=decisions_of(recent),
            channels=channels_of(service.directory, service.moderation.channel_names, recent),
            bans=bans_of(_known_bans(service, moment), moment.now),
        )
        return jsonify(answer)

    @routes.get(PAGE_PATH)
    def page() -> Response:
        answer = _file(_PAGE, files[_PAGE])
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    @routes.get(f"{PAGE_PATH}/<name>")
    def asset(name: str) -> Response:
        if name == _PAGE or name not in files:
            abort(404)
        return _file(name, files[name])

    return routes


def _checks(service: Service, *, is_draining: bool) -> list[ReadinessCheck]:
    return [
        ReadinessCheck(
            name=check.name,
            ready=check.error is None,
            code=check.shown_code,
            notes=check.shown_notes,
        )
        for check in checks_of(service, is_draining=is_draining)
    ]


def _known_bans(service: Service, moment: Moment) -> BanBook:
    try:
        return service.bans.within(math.inf, moment)
    except TokensvcError:  # They were not read yet, as their view says.
        return BanBook()


def _file(name: str, content: bytes) -> Response:
    return Response(content, content_type=_CONTENT_TYPES[name.rpartition(".")[2]])
