"""What the entitlement hook answers, strictly checked, and what the answer changes.

An answer may refuse or tighten. Of each option the tighter one counts, so that an answer can't
allow more than the grant does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    with_config,
)

from tokensvc.access import origins
from tokensvc.access.requests import LONGEST_ORIGIN, MAX_ORIGINS
from tokensvc.clock import unix_seconds
from tokensvc.errors import NotEntitled, Problem
from tokensvc.ivs.limits import GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS
from tokensvc.token import strict_json
from tokensvc.token.claims import PlaybackOptions, Resolution
from tokensvc.token.rules import ALLOWED_ORIGINS, broken_rules

RULE: Final = "entitlement_hook"
"""The identifier of the rule that refuses what the hook does not allow."""

MAX_ANSWER_BYTES: Final = 16_384
MAX_CACHE_SECONDS: Final = 3_600
"""A longer `cache_seconds` counts as this: a right that ended must not go on for long."""
_LONGEST_REASON: Final = 200
_LONGEST_ORIGINS: Final = 1_000
"""Characters of all origins together, so that they fit into a token."""


class InvalidAnswer(Exception):
    """Raised when an answer of the hook is not valid. Its text repeats no value of the answer."""


def _check_reason(value: str) -> str:
    if not value.isprintable():
        raise ValueError("It has a control character.")
    return value


def _check_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    text = ",".join(value)
    broken = value and any(
        rule.claim == ALLOWED_ORIGINS for rule in broken_rules({ALLOWED_ORIGINS: text}, now=0)
    )
    if broken or len(text) > _LONGEST_ORIGINS or text.count(",") >= max(1, len(value)):
        raise ValueError("They can't be in a token.")
    return value


def _parse_time(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("It is not a string.")  # noqa: TRY004 # What pydantic expects.
    return unix_seconds(value)


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of the hook.

    Attributes:
        decision: whether the viewer may watch.
        reason: why not, for the caller.
        cache_seconds: for how long the same question is not asked again.
        max_ttl_seconds: the maximum TTL of the token.
        maximum_resolution: the highest rendition offered.
        allowed_origins: the origins that playback may come from; if empty, all that are granted.
        strict_origin_enforcement: whether every request must come from them.
        single_use: whether the token is valid for one start of playback only.
        watch_until: until when this viewer may watch, Unix seconds.
    """

    decision: Literal["allow", "deny"]
    reason: (
        Annotated[StrictStr, Field(max_length=_LONGEST_REASON), AfterValidator(_check_reason)]
        | None
    ) = None
    cache_seconds: Annotated[StrictInt, Field(ge=0)] = 0
    max_ttl_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    maximum_resolution: Resolution | None = None
    allowed_origins: Annotated[
        tuple[Annotated[StrictStr, Field(max_length=LONGEST_ORIGIN)], ...],
        Field(max_length=MAX_ORIGINS),
        AfterValidator(_check_origins),
    ] = ()
    strict_origin_enforcement: StrictBool = False
    single_use: StrictBool = False
    watch_until: Annotated[int, BeforeValidator(_parse_time)] | None = None

    def tighten(self, options: PlaybackOptions, now: float) -> PlaybackOptions:
        """The options, limited by the answer at that time (Unix seconds).

        Raises:
            NotEntitled: when the answer is a refusal, its `watch_until` has passed, or it allows
                none of the origins.
        """
        if self.decision == "deny":
            raise refused(self.reason or "The entitlement hook refused this request.")
        ttls = [options.ttl_seconds]
        if self.max_ttl_seconds is not None:
            ttls.append(self.max_ttl_seconds)
        if self.single_use:
            ttls.append(GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS)
        if self.watch_until is not None:
            ttls.append(self.watch_until - int(now))
        if min(ttls) <= 0:
            raise refused("The time until which this viewer may watch has passed.")
        resolutions = (options.maximum_resolution, self.maximum_resolution)
        return replace(
            options,
            ttl_seconds=min(ttls),
            allowed_origins=_common(options.allowed_origins, self.allowed_origins),
            strict_origin_enforcement=(
                options.strict_origin_enforcement or self.strict_origin_enforcement
            ),
            single_use=options.single_use or self.single_use,
            maximum_resolution=min((one for one in resolutions if one is not None), default=None),
        )


def refused(message: str) -> NotEntitled:
    """The refusal of what the hook does not allow."""
    return NotEntitled(
        message,
        hint="The service that decides about viewers has refused this one: ask its operator why.",
        problems=(Problem("", RULE, message),),
    )


def read_answer(body: bytes) -> Answer:
    """The answer in the body of a response. A null member is absent.

    Raises:
        InvalidAnswer: when the body is not strict JSON, or has an unknown, missing or wrong member.
    """
    try:
        value = strict_json.loads(body)
    except ValueError as exc:
        raise InvalidAnswer("it is not strict JSON in UTF-8") from exc
    if isinstance(value, dict):
        value = {name: member for name, member in value.items() if member is not None}
    try:
        return _adapter().validate_python(value)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        kind = error["type"]
        where = str(error["loc"][0]) if error["loc"] else "the answer"
        known = where if where in _members() else "a member"
    # Outside of the handler: the validation error quotes its input.
    raise InvalidAnswer(f"{known}: {kind}")


@cache
def _adapter() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


@cache
def _members() -> frozenset[str]:
    return frozenset(Answer.__dataclass_fields__)


def _common(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    if not first or not second:
        return tuple(first or second)
    shared = origins.common(first, second)
    if not shared:
        raise refused("The entitlement hook allows none of the origins of this request.")
    return shared
