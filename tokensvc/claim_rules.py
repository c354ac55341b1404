"""What a playback token may claim: every rule of IVS and of this house, as a table of small checks.

The same table is used when a token is minted (`claims`) and when one is looked at
(`playback.inspection`). A rule with `enforced_by_ivs` makes IVS refuse the token; the others are
this house's own, and a token that breaks one plays, but not as its maker thinks.

Rules are from IVS: private-channels-generate-tokens. What no page says is called "believed".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidArn

EXP: Final = "exp"
CHANNEL_ARN: Final = "aws:channel-arn"
ALLOWED_ORIGINS: Final = "aws:access-control-allow-origin"
STRICT_ORIGIN_ENFORCEMENT: Final = "aws:strict-origin-enforcement"
SINGLE_USE_UUID: Final = "aws:single-use-uuid"
VIEWER_ID: Final = "aws:viewer-id"
VIEWER_SESSION_VERSION: Final = "aws:viewer-session-version"
MAXIMUM_RESOLUTION: Final = "aws:maximum-resolution"
NBF: Final = "nbf"

RESOLUTIONS: Final = ("SD", "HD", "FULL_HD")
TEN_MINUTE_RULE_SECONDS: Final = 600
LONGEST_VIEWER_ID: Final = 40  # characters
MOST_STRICT_ORIGINS: Final = 5
# A moment of the year 5138, as seconds; as milliseconds, one of March 1973.
_LATEST_SECONDS: Final = 99_999_999_999
# The API that revokes has a 32-bit integer there, the claim a 64-bit one.
_LATEST_REVOCABLE_VERSION: Final = 2**31 - 1

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_ORIGIN = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*://"
    rf"(?:\*|(?:\*\.?)?{_LABEL}(?:\.{_LABEL})*|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])"
    rf"(?::(?P<port>[1-9][0-9]{{0,4}}))?"
)
_HIGHEST_PORT: Final = 65_535
_SHOWN_ITEMS: Final = 3
_SHOWN_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One rule that a token breaks.

    Attributes:
        claim: the claim that is wrong; for the token's form, `token`, `header` or `signature`.
        rule: the rule's stable name.
        message: a sentence for a person, with what to do; it never repeats a viewer ID.
        enforced_by_ivs: whether IVS refuses such a token, or only this house does.
    """

    claim: str
    rule: str
    message: str
    enforced_by_ivs: bool


def broken_rules(payload: Mapping[str, object], now: float) -> tuple[BrokenRule, ...]:
    """Every rule that a token of this payload breaks at `now` (Unix seconds), in a fixed order.

    Claims that IVS does not know are ignored, as IVS ignores them.
    """
    return tuple(
        BrokenRule(rule.claim, rule.name, message, rule.enforced_by_ivs)
        for rule in _RULES
        if (message := rule.complaint(payload, now))
    )


_Payload = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule; `complaint` gives the sentence to say when it is broken, and "" when it holds."""

    claim: str
    name: str
    complaint: Callable[[_Payload, float], str]
    enforced_by_ivs: bool = True


# --- exp


def _exp_required(payload: _Payload, _now: float) -> str:
    if EXP in payload:
        return ""
    return "A token must say when it expires: set exp to Unix seconds."


def _exp_integer(payload: _Payload, _now: float) -> str:
    if EXP not in payload or _integer(payload, EXP) is not None:
        return ""
    return "exp must be a JSON integer: Unix seconds, neither quoted nor with a fraction."


def _exp_in_future(payload: _Payload, now: float) -> str:
    exp = _integer(payload, EXP)
    if exp is None or now < exp:
        return ""
    return "exp is not in the future: sign a fresh token that lives at least one second."


def _exp_in_seconds(payload: _Payload, _now: float) -> str:
    exp = _integer(payload, EXP)
    if exp is None or exp <= _LATEST_SECONDS:
        return ""
    return (
        "exp can only be milliseconds: read as the seconds that it must be, the token lives for"
        " thousands of years (IVS is believed to take it). Divide by 1,000."
    )


def _ten_minutes(payload: _Payload, now: float) -> str:
    exp = _integer(payload, EXP)
    is_bound = VIEWER_ID in payload or SINGLE_USE_UUID in payload
    # An integer is compared with a float exactly, while a difference may not fit in a float.
    if exp is None or not is_bound or exp <= now + TEN_MINUTE_RULE_SECONDS:
        return ""
    return (
        f"With a viewer ID or single use, a token may live {TEN_MINUTE_RULE_SECONDS} seconds at"
        " most: bring exp nearer."
    )


# --- The channel


def _channel_arn_required(payload: _Payload, _now: float) -> str:
    if CHANNEL_ARN in payload:
        return ""
    return f"A token is for one channel: set {CHANNEL_ARN} to its ARN."


def _channel_arn_form(payload: _Payload, _now: float) -> str:
    if CHANNEL_ARN not in payload or _is_channel_arn(payload[CHANNEL_ARN]):
        return ""
    return (
        f"{CHANNEL_ARN} must be a channel's ARN: arn:aws:ivs:REGION:ACCOUNT:channel/ID, in one"
        " string of at most 128 characters."
    )


def _is_channel_arn(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        ChannelArn.parse(value)
    except InvalidArn:
        return False
    return True


# --- The viewer


def _viewer_id_length(payload: _Payload, _now: float) -> str:
    viewer_id = _text(payload, VIEWER_ID)
    if VIEWER_ID not in payload or (
        viewer_id is not None and 1 <= len(viewer_id) <= LONGEST_VIEWER_ID
    ):
        return ""
    return (
        f"A viewer ID is a string of 1 to {LONGEST_VIEWER_ID} characters: give a hash of a longer"
        " one, never its beginning, which another viewer may share."
    )


def _viewer_id_unicode(payload: _Payload, _now: float) -> str:
    viewer_id = _text(payload, VIEWER_ID) or ""
    if not any("\ud800" <= character <= "\udfff" for character in viewer_id):
        return ""
    return (
        "The viewer ID holds half of a surrogate pair, which IVS is believed to refuse: give whole"
        " Unicode characters."
    )


def _viewer_id_private(payload: _Payload, _now: float) -> str:
    name, _, domain = (_text(payload, VIEWER_ID) or "").partition("@")
    has_space = re.search(r"\s", name + domain) is not None
    if not name or has_space or "@" in domain or "." not in domain[1:-1]:
        return ""
    return (
        "The viewer ID looks like an e-mail address, and IVS asks for no personal data there:"
        " give an opaque ID, such as a keyed hash of the address."
    )


def _version_integer(payload: _Payload, _now: float) -> str:
    version = _integer(payload, VIEWER_SESSION_VERSION)
    if VIEWER_SESSION_VERSION not in payload or (
        version is not None and -(2**63) <= version < 2**63
    ):
        return ""
    return (
        f"{VIEWER_SESSION_VERSION} must be a JSON integer of 64 bits: give the Unix seconds of"
        " signing, not quoted."
    )


def _version_with_viewer(payload: _Payload, _now: float) -> str:
    if VIEWER_SESSION_VERSION not in payload or VIEWER_ID in payload:
        return ""
    return f"{VIEWER_SESSION_VERSION} has no effect without {VIEWER_ID}: give both, or neither."


def _version_revocable(payload: _Payload, _now: float) -> str:
    version = _integer(payload, VIEWER_SESSION_VERSION)
    if version is None or 0 <= version <= _LATEST_REVOCABLE_VERSION:
        return ""
    return (
        "The API that revokes sessions can't express this viewer session version: give one from 0"
        f" to {_LATEST_REVOCABLE_VERSION}, such as the Unix seconds of signing."
    )


# --- Single use and resolution


def _single_use_uuid(payload: _Payload, _now: float) -> str:
    text = _text(payload, SINGLE_USE_UUID)
    if SINGLE_USE_UUID not in payload or (text is not None and _UUID.fullmatch(text)):
        return ""
    return (
        f"{SINGLE_USE_UUID} must be a UUID in its form of 36 characters, such as"
        " 123e4567-e89b-42d3-a456-426614174000."
    )


def _maximum_resolution(payload: _Payload, _now: float) -> str:
    if MAXIMUM_RESOLUTION not in payload or _text(payload, MAXIMUM_RESOLUTION) in RESOLUTIONS:
        return ""
    return f"{MAXIMUM_RESOLUTION} must be one of {', '.join(RESOLUTIONS)}."


# --- Origins


def _origins_text(payload: _Payload, _now: float) -> str:
    if ALLOWED_ORIGINS not in payload or _text(payload, ALLOWED_ORIGINS):
        return ""
    return (
        f"{ALLOWED_ORIGINS} must be one string of origins with commas between them, not an array"
        " and not empty: leave it out to allow every origin."
    )


def _origins_form(payload: _Payload, _now: float) -> str:
    wrong = [item for item in _origins(payload) if not _is_origin_pattern(item)]
    if not wrong:
        return ""
    return (
        f"{_quoted(wrong)} will match no browser: an origin is scheme://host[:port] or *, the host"
        " may begin with *, and there is no path, no final slash and no space."
    )


def _is_origin_pattern(item: str) -> bool:
    if item == "*":
        return True
    match = _ORIGIN.fullmatch(item)
    if match is None or int(match["port"] or 0) > _HIGHEST_PORT:
        return False
    return match["ipv6"] is None or _is_ipv6(match["ipv6"])


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _strict_origins_few(payload: _Payload, _now: float) -> str:
    is_strict = payload.get(STRICT_ORIGIN_ENFORCEMENT) is True
    if not is_strict or len(_origins(payload)) <= MOST_STRICT_ORIGINS:
        return ""
    return (
        f"Strict origin enforcement takes {MOST_STRICT_ORIGINS} origins at most: name fewer, or"
        " join some under a leading * in the host."
    )


def _strict_boolean(payload: _Payload, _now: float) -> str:
    if isinstance(payload.get(STRICT_ORIGIN_ENFORCEMENT, False), bool):
        return ""
    return f"{STRICT_ORIGIN_ENFORCEMENT} must be true or false, not quoted."


def _strict_with_origins(payload: _Payload, _now: float) -> str:
    if payload.get(STRICT_ORIGIN_ENFORCEMENT) is not True or ALLOWED_ORIGINS in payload:
        return ""
    return "Strict origin enforcement means nothing without origins: name those that may play."


# --- What does not belong


def _nbf_absent(payload: _Payload, _now: float) -> str:
    if NBF not in payload:
        return ""
    return "IVS documents no nbf, and a clock that differs can only hurt: leave it out."


def _integer(payload: _Payload, claim: str) -> int | None:
    """The claim's value when it is an integer; Python counts True as one, JSON does not."""
    value = payload.get(claim)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(payload: _Payload, claim: str) -> str | None:
    value = payload.get(claim)
    return value if isinstance(value, str) else None


def _origins(payload: _Payload) -> list[str]:
    text = _text(payload, ALLOWED_ORIGINS)
    return text.split(",") if text else []


def _quoted(items: list[str]) -> str:
    """The first few items as a person may be shown them, each cut short."""
    shown = [repr(item[:_SHOWN_CHARACTERS]) for item in items[:_SHOWN_ITEMS]]
    return ", ".join([*shown, "…"] if len(items) > len(shown) else shown)


_RULES: Final = (
    _Rule(EXP, "exp_required", _exp_required),
    _Rule(EXP, "exp_integer", _exp_integer),
    _Rule(EXP, "exp_in_future", _exp_in_future),
    _Rule(EXP, "exp_in_seconds", _exp_in_seconds, enforced_by_ivs=False),
    _Rule(EXP, "ten_minute_rule", _ten_minutes),
    _Rule(CHANNEL_ARN, "channel_arn_required", _channel_arn_required),
    _Rule(CHANNEL_ARN, "channel_arn_form", _channel_arn_form),
    _Rule(VIEWER_ID, "viewer_id_length", _viewer_id_length),
    _Rule(VIEWER_ID, "viewer_id_unicode", _viewer_id_unicode),
    _Rule(VIEWER_ID, "viewer_id_private", _viewer_id_private, enforced_by_ivs=False),
    _Rule(VIEWER_SESSION_VERSION, "session_version_integer", _version_integer),
    _Rule(
        VIEWER_SESSION_VERSION,
        "session_version_with_viewer_id",
        _version_with_viewer,
        enforced_by_ivs=False,
    ),
    _Rule(
        VIEWER_SESSION_VERSION,
        "session_version_revocable",
        _version_revocable,
        enforced_by_ivs=False,
    ),
    _Rule(SINGLE_USE_UUID, "single_use_uuid_form", _single_use_uuid),
    _Rule(MAXIMUM_RESOLUTION, "maximum_resolution_value", _maximum_resolution),
    _Rule(ALLOWED_ORIGINS, "origins_string", _origins_text),
    _Rule(ALLOWED_ORIGINS, "origins_form", _origins_form, enforced_by_ivs=False),
    _Rule(ALLOWED_ORIGINS, "strict_origins_at_most_five", _strict_origins_few),
    _Rule(STRICT_ORIGIN_ENFORCEMENT, "strict_boolean", _strict_boolean),
    _Rule(
        STRICT_ORIGIN_ENFORCEMENT,
        "strict_with_origins",
        _strict_with_origins,
        enforced_by_ivs=False,
    ),
    _Rule(NBF, "nbf_absent", _nbf_absent, enforced_by_ivs=False),
)
