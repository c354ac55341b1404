"""`GET /healthz`: the process answers. `GET /readyz`: what it depends on, each by name.

Ready means that a caller could be let in and a token signed in every region, right now. A note says
what does not stop that yet, such as a standby that can't be used: taking every worker out of
service for it would be the worse fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from tokensvc.clock import Moment
from tokensvc.errors import (
    CustodyDamaged,
    CustodyUnavailable,
    Problem,
    StateUnavailable,
    TokensvcError,
    Unavailable,
)
from tokensvc.keyring.view import RingView
from tokensvc.web import problems
from tokensvc.web.identity import known_api_keys
from tokensvc.web.service import Service


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency's state.

    Attributes:
        name: what was looked at.
        refusal: what requests that need it are refused with; None when it is ready.
        notes: what an operator should know all the same.
    """

    name: str
    refusal: TokensvcError | None = None
    notes: Sequence[str] = ()

    def members(self) -> dict[str, object]:
        """The check as anyone may read it: a refusal by its kind, as its details may be paths."""
        notes = self.notes if self.refusal is None else [self.refusal.title]
        return {
            "name": self.name,
            "ready": self.refusal is None,
            "code": "" if self.refusal is None else self.refusal.code,
            "notes": list(notes),
        }


def create_blueprint(service: Service) -> Blueprint:
    """The two routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @routes.get("/readyz")
    def readyz() -> Response:
        checks = _checks(service)
        listed = [check.members() for check in checks]
        refusals = [(check.name, check.refusal) for check in checks if check.refusal is not None]
        if not refusals:
            return jsonify(status="ready", checks=listed)
        return problems.response(_not_ready(refusals), checks=listed)

    return routes


def _checks(service: Service) -> list[Check]:
    moment = Moment.of(service.clock)
    rings = sorted(service.rings.items())
    return [
        _api_keys_check(service, moment),
        *(_ring_check(f"ring {region}", ring, moment) for region, ring in rings),
    ]


def _api_keys_check(service: Service, moment: Moment) -> Check:
    name = "api-keys"
    try:
        keys = known_api_keys(service, moment)
    except TokensvcError as exc:
        return Check(name, exc)
    notes = [] if keys.keys else ["There is no API key yet, so that nobody can be let in."]
    return Check(name, notes=notes)


def _ring_check(name: str, ring: RingView, moment: Moment) -> Check:
    try:
        ring.active(moment)
        return Check(name, notes=ring.warnings(moment))
    except TokensvcError as exc:
        return Check(name, exc)


def _not_ready(refusals: Sequence[tuple[str, TokensvcError]]) -> Unavailable:
    """One problem for all of them, by the code of the first."""
    kind = _kind_of(refusals[0][1])
    return kind(
        "Not every request can be answered now.",
        problems=tuple(Problem(name, refusal.code, refusal.title) for name, refusal in refusals),
    )


def _kind_of(refusal: TokensvcError) -> type[Unavailable]:
    """Its own, or that of the place whose damage an operator has to mend."""
    match refusal:
        case Unavailable():
            return type(refusal)
        case CustodyDamaged():
            return CustodyUnavailable
        case _:
            return StateUnavailable
