"""Why a request is granted or refused: the decision of the grants, step by step.

It is for operators. Each step calls what decides the requests of clients, in the same order. What
IVS, bans and the entitlement hook say is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from tokensvc.access.callers import Caller
from tokensvc.access.grant import Grant
from tokensvc.access.grants import Granted, Limits, decide, scope
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidRequest, TokensvcError
from tokensvc.token.claims import PlaybackClaims, PlaybackOptions

StepName = Literal[
    "scope",
    "grants",
    "viewer_id",
    "country",
    "origins",
    "lifetime",
    "resolution",
    "forced_options",
    "token",
]
Applies = Literal["yes", "not in the settings", "for other channels", "not for this caller"]

_STEP_OF_RULE: Final[Mapping[str, StepName]] = {
    "no_grant": "grants",
    "grant_conditions": "grants",
    "origins_disjoint": "grants",
    "acts_for_viewers_differs": "grants",
    "viewer_id_required": "viewer_id",
    "viewer_id_of_another": "viewer_id",
    "viewer_country_not_accepted": "country",
    "country_code": "country",
    "viewer_country_not_trusted": "country",
    "countries_disjoint": "country",
    "country_unknown": "country",
    "country_not_granted": "country",
    "origin_not_granted": "origins",
}


@dataclass(frozen=True, slots=True)
class GrantUse:
    """One grant of the caller.

    Attributes:
        name: its name.
        applies: whether it applies to the request, and why not.
        unmet: the conditions that the caller does not meet.
        grant: the grant; None if the settings do not have it.
    """

    name: str
    applies: Applies
    unmet: tuple[str, ...] = ()
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the decision.

    Attributes:
        name: what it is about.
        result: `limited` if a grant or a limit has changed what was requested.
        detail: the result, for people.
    """

    name: StepName
    result: Literal["passed", "limited", "refused"]
    detail: str

    def members(self) -> dict[str, str]:
        """The members that programs see."""
        return {"step": self.name, "result": self.result, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision.

    Attributes:
        uses: the grants of the caller.
        steps: the steps, of which the last may refuse.
        granted: what is granted; None if the request is refused.
        options: the options of the token, before the key pair that signs may lower the TTL.
        refusal: why it is refused; None if it is granted.
    """

    uses: Sequence[GrantUse]
    steps: Sequence[Step]
    granted: Granted | None = None
    options: PlaybackOptions | None = None
    refusal: TokensvcError | None = None


def explain(
    grants: Mapping[str, Grant],
    caller: Caller,
    arn: ChannelArn,
    request: PlaybackRequest,
    limits: Limits,
    *,
    now: float,
    country: str | None = None,
) -> Explanation:
    """How the request of that caller is decided.

    Args:
        grants: the grants of the settings.
        caller: who would send the request.
        arn: the channel.
        request: the request.
        limits: the limits of the service.
        now: Unix seconds.
        country: the country of the viewer, from the source that counts for this caller.
    """
    uses = [_use(name, grants.get(name), caller, arn) for name in caller.grants]
    steps: list[Step] = []
    try:
        caller.require("mint")
        steps.append(Step("scope", "passed", "The caller may request playback URLs."))
        grant = scope(grants, caller, arn)
        steps.append(Step("grants", "passed", _sentence_of_grants(grant, uses)))
        if country is not None and (caller.identity is None or grant.acts_for_viewers):
            request = replace(request, viewer_country=country)
        granted = decide(grant, caller, request, limits, country)
    except TokensvcError as refusal:
        refused_by = _STEP_OF_RULE.get(refusal.rule or "", "scope")
        steps += _steps_before(refused_by, len(steps))
        steps.append(Step(refused_by, "refused", refusal.detail))
        return Explanation(uses, steps, refusal=refusal)
    options = granted.options(limits.max_ttl_seconds)
    steps += _steps(granted, options)
    try:
        PlaybackClaims.at(now, arn, options, granted.request.viewer_id)
    except InvalidRequest as refusal:
        messages = " ".join(problem.message for problem in refusal.problems)
        steps.append(Step("token", "refused", messages))
        return Explanation(uses, steps, refusal=refusal)
    steps.append(Step("token", "passed", "A token with these options breaks no rule."))
    return Explanation(uses, steps, granted, options)


def _use(name: str, grant: Grant | None, caller: Caller, arn: ChannelArn) -> GrantUse:
    if grant is None:
        return GrantUse(name, "not in the settings")
    if not grant.covers(arn):
        return GrantUse(name, "for other channels", grant=grant)
    unmet = tuple(grant.unmet(caller))
    return GrantUse(name, "not for this caller" if unmet else "yes", unmet, grant)


def _sentence_of_grants(grant: Grant, uses: Sequence[GrantUse]) -> str:
    number = sum(use.applies == "yes" for use in uses)
    if number == 1:
        return f"The grant {grant.name} applies."
    return f"The tightest options of {number} grants apply together: {grant.name}."


def _steps_before(refused_by: StepName, done: int) -> Iterator[Step]:
    """The steps of `decide` that passed before the one that refused."""
    passed: dict[StepName, str] = {
        "viewer_id": "The viewer ID is allowed.",
        "country": "The country is allowed.",
    }
    if done < len(("scope", "grants")):
        return
    for name, detail in passed.items():
        if name == refused_by:
            return
        yield Step(name, "passed", detail)


def _steps(granted: Granted, options: PlaybackOptions) -> Iterator[Step]:
    asked, got = granted.requested, granted.request
    changed = (granted.limited(options.ttl_seconds) or "").split(",")
    viewer_id = got.viewer_id or "none"
    yield _step(
        "viewer_id", f"Viewer ID: {viewer_id}.", is_limited=got.viewer_id != asked.viewer_id
    )
    yield _step("country", _sentence_of_country(granted))
    yield _step(
        "origins",
        f"Origins: {', '.join(options.allowed_origins) or 'any'}.",
        is_limited="allowed_origins" in changed,
    )
    yield _step(
        "lifetime",
        f"Lifetime: {options.ttl_seconds} s.",
        is_limited="ttl_seconds" in changed,
    )
    yield _step(
        "resolution",
        f"Resolution: {options.maximum_resolution or 'any'}.",
        is_limited="maximum_resolution" in changed,
    )
    yield _step(
        "forced_options",
        f"Single use: {_yes(options.single_use)}. Strict origin enforcement:"
        f" {_yes(options.strict_origin_enforcement)}.",
        is_limited=bool({"single_use", "strict_origin_enforcement"}.intersection(changed)),
    )


def _step(name: StepName, detail: str, *, is_limited: bool = False) -> Step:
    return Step(name, "limited" if is_limited else "passed", detail)


def _sentence_of_country(granted: Granted) -> str:
    allowed = granted.grant.countries
    where = f"in {granted.country}" if granted.country else "in a country that is not known"
    if allowed is None:
        return "Every country is allowed."
    return f"The viewer is {where}; allowed: {', '.join(sorted(allowed))}."


def _yes(value: object) -> str:
    return "yes" if value else "no"
