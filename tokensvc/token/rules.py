"""The rules for the claims of a playback token: the table first, then the check of each rule.

The same table is used to sign a token (`claims`) and to inspect one (`playback.inspection`). IVS
refuses a token that breaks a rule with `enforced_by_ivs`. The other rules are this service's own:
IVS accepts a token that breaks one, but the token does not work as its author expects.

Rules are from IVS: private-channels-generate-tokens. "Believed" marks what no page of AWS states.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tokensvc.arns import ChannelArn
from tokensvc.errors import InvalidArn
from tokensvc.ivs.limits import (
    LATEST_REVOCABLE_VERSION,
    LONGEST_ARN,
    LONGEST_VIEWER_ID,
    MAX_STRICT_ORIGINS,
    TEN_MINUTE_RULE_SECONDS,
)
from tokensvc.token.viewer_id_text import has_invisible_characters, personal_data_in

EXP: Final = "exp"
CHANNEL_ARN: Final = "aws:channel-arn"
ALLOWED_ORIGINS: Final = "aws:access-control-allow-origin"
STRICT_ORIGIN_ENFORCEMENT: Final = "aws:strict-origin-enforcement"
SINGLE_USE_UUID: Final = "aws:single-use-uuid"
VIEWER_ID: Final = "aws:viewer-id"
VIEWER_SESSION_VERSION: Final = "aws:viewer-session-version"
MAXIMUM_RESOLUTION: Final = "aws:maximum-resolution"
NBF: Final = "nbf"

_Payload = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule. `check` returns a sentence when the rule is broken, and "" when it holds.

    A rule is checked only if its claim is there, unless it `requires_claim`.
    """

    claim: str
    name: str
    check: Callable[[_Payload, float], str]
    enforced_by_ivs: bool
    requires_claim: bool = False


@functools.cache
def _rules() -> tuple[_Rule, ...]:
    """The table of rules. A function, so that the table can stand before the checks it names."""
    ivs = functools.partial(_Rule, enforced_by_ivs=True)
    ours = functools.partial(_Rule, enforced_by_ivs=False)
    return (
        ivs(EXP, "exp_required", _exp_required, requires_claim=True),
        ivs(EXP, "exp_integer", _exp_integer),
        ivs(EXP, "exp_in_future", _exp_in_future),
        ours(EXP, "exp_in_seconds", _exp_in_seconds),
        ivs(EXP, "ten_minute_rule", _ten_minute_rule),
        ivs(CHANNEL_ARN, "channel_arn_required", _channel_arn_required, requires_claim=True),
        ivs(CHANNEL_ARN, "channel_arn_form", _channel_arn_form),
        ivs(VIEWER_ID, "viewer_id_length", _viewer_id_length),
        ivs(VIEWER_ID, "viewer_id_unicode", _viewer_id_unicode),
        ours(VIEWER_ID, "viewer_id_visible", _viewer_id_visible),
        ours(VIEWER_ID, "viewer_id_private", _viewer_id_private),
        ivs(VIEWER_SESSION_VERSION, "session_version_integer", _session_version_integer),
        ours(
            VIEWER_SESSION_VERSION, "session_version_with_viewer_id", _session_version_with_viewer
        ),
        ours(VIEWER_SESSION_VERSION, "session_version_revocable", _session_version_revocable),
        ivs(SINGLE_USE_UUID, "single_use_uuid_form", _single_use_uuid),
        ivs(MAXIMUM_RESOLUTION, "maximum_resolution_value", _maximum_resolution),
        ivs(ALLOWED_ORIGINS, "origins_string", _origins_string),
        ours(ALLOWED_ORIGINS, "origins_form", _origins_form),
        ivs(ALLOWED_ORIGINS, "strict_origins_at_most_five", _strict_origins_at_most_five),
        ivs(STRICT_ORIGIN_ENFORCEMENT, "strict_boolean", _strict_boolean),
        ours(STRICT_ORIGIN_ENFORCEMENT, "strict_with_origins", _strict_with_origins),
        ours(NBF, "nbf_absent", _nbf_absent),
    )


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One rule that a token breaks.

    Attributes:
        claim: the claim that is wrong; `token`, `header` or `signature` when the fault is in the
            form of the token.
        rule: the stable identifier of the rule.
        message: what is wrong and what to do, for a person; it never contains a viewer ID.
        enforced_by_ivs: whether IVS refuses such a token; otherwise only tokensvc does.
    """

    claim: str
    rule: str
    message: str
    enforced_by_ivs: bool


def broken_rules(payload: Mapping[str, object], now: float) -> tuple[BrokenRule, ...]:
    """Every rule that a token with this payload breaks at `now` (Unix seconds), in a fixed order.

    >>> payload = {"exp": 1_800_000_300, "aws:viewer-id": "anna@example.com"}
    >>> [broken.rule for broken in broken_rules(payload, 1_800_000_000)]
    ['channel_arn_required', 'viewer_id_private']

    Claims that IVS does not know are ignored, because IVS ignores them.
    """
    return tuple(
        BrokenRule(rule.claim, rule.name, message, rule.enforced_by_ivs)
        for rule in _rules()
        if (rule.claim in payload or rule.requires_claim) and (message := rule.check(payload, now))
    )


RESOLUTIONS: Final = ("SD", "HD", "FULL_HD")
# Read as seconds, this is a time in the year 5138; read as milliseconds, in March 1973.
_LATEST_SECONDS: Final = 99_999_999_999

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


# --- exp


def _exp_required(payload: _Payload, _now: float) -> str:
    if EXP in payload:
        return ""
    return "The token has no expiry time. Set exp to a time in Unix seconds."


def _exp_integer(payload: _Payload, _now: float) -> str:
    if _integer(payload, EXP) is not None:
        return ""
    return "exp must be a JSON integer. Set it to Unix seconds, without quotes or a fraction."


def _exp_in_future(payload: _Payload, now: float) -> str:
    exp = _integer(payload, EXP)
    if exp is None or now < exp:
        return ""
    return "exp is not in the future. Sign a new token that is valid for at least one second."


def _exp_in_seconds(payload: _Payload, _now: float) -> str:
    exp = _integer(payload, EXP)
    if exp is None or exp <= _LATEST_SECONDS:
        return ""
    return (
        "exp appears to be in milliseconds. IVS reads it as seconds, so the token would be valid"
        " for thousands of years (IVS is believed to accept it). Divide exp by 1,000."
    )


def _ten_minute_rule(payload: _Payload, now: float) -> str:
    exp = _integer(payload, EXP)
    is_bound = VIEWER_ID in payload or SINGLE_USE_UUID in payload
    # Python compares an integer with a float exactly, but their difference may not fit in a float.
    if exp is None or not is_bound or exp <= now + TEN_MINUTE_RULE_SECONDS:
        return ""
    return (
        f"A token with a viewer ID, or for single use, may be valid for at most"
        f" {TEN_MINUTE_RULE_SECONDS} seconds. Set an earlier exp."
    )


# --- The channel


def _channel_arn_required(payload: _Payload, _now: float) -> str:
    if CHANNEL_ARN in payload:
        return ""
    return f"The token names no channel. Set {CHANNEL_ARN} to the ARN of the channel."


def _channel_arn_form(payload: _Payload, _now: float) -> str:
    arn = _text(payload, CHANNEL_ARN)
    if arn is not None and _is_channel_arn(arn):
        return ""
    return (
        f"{CHANNEL_ARN} is not the ARN of a channel. Set it to one string of at most {LONGEST_ARN}"
        " characters: arn:aws:ivs:REGION:ACCOUNT:channel/ID."
    )


@functools.lru_cache(maxsize=1_024)
def _is_channel_arn(text: str) -> bool:
    try:
        ChannelArn.parse(text)
    except InvalidArn:
        return False
    return True


# --- The viewer


def _viewer_id_length(payload: _Payload, _now: float) -> str:
    viewer_id = _text(payload, VIEWER_ID)
    if viewer_id is not None and 1 <= len(viewer_id) <= LONGEST_VIEWER_ID:
        return ""
    return (
        f"A viewer ID must be a string of 1 to {LONGEST_VIEWER_ID} characters. If yours is longer,"
        " use a hash of it. Don't cut it: two viewers may then have the same ID."
    )


def _viewer_id_unicode(payload: _Payload, _now: float) -> str:
    viewer_id = _text(payload, VIEWER_ID) or ""
    if viewer_id.isascii() or not any("\ud800" <= each <= "\udfff" for each in viewer_id):
        return ""
    return (
        "The viewer ID contains an unpaired surrogate, which IVS is believed to refuse. Use only"
        " complete Unicode characters."
    )


def _viewer_id_visible(payload: _Payload, _now: float) -> str:
    # A longer one is refused for its length, so the rest needs no check.
    if not has_invisible_characters((_text(payload, VIEWER_ID) or "")[:LONGEST_VIEWER_ID]):
        return ""
    return (
        "The viewer ID contains a blank, or a control or format character that can't be seen. Use"
        " visible characters only, so that a moderator can read and type the ID."
    )


def _viewer_id_private(payload: _Payload, _now: float) -> str:
    kind = personal_data_in(_text(payload, VIEWER_ID) or "")
    return kind and (
        f"The viewer ID looks like {kind}, and IVS asks for viewer IDs without personal data. Use"
        " an opaque ID, such as a keyed hash of it."
    )


def _session_version_integer(payload: _Payload, _now: float) -> str:
    version = _integer(payload, VIEWER_SESSION_VERSION)
    if version is not None and -(2**63) <= version < 2**63:
        return ""
    return (
        f"{VIEWER_SESSION_VERSION} must be a 64-bit JSON integer. Set it to the signing time in"
        " Unix seconds, without quotes."
    )


def _session_version_with_viewer(payload: _Payload, _now: float) -> str:
    if VIEWER_ID in payload:
        return ""
    return f"{VIEWER_SESSION_VERSION} has no effect without {VIEWER_ID}. Set both or neither."


def _session_version_revocable(payload: _Payload, _now: float) -> str:
    version = _integer(payload, VIEWER_SESSION_VERSION)
    if version is None or 0 <= version <= LATEST_REVOCABLE_VERSION:
        return ""
    return (
        "This viewer session version can't be revoked, because it is outside the range of the API"
        f" that revokes sessions. Use a number from 0 to {LATEST_REVOCABLE_VERSION}, such as the"
        " signing time in Unix seconds."
    )


# --- Single use and resolution


def _single_use_uuid(payload: _Payload, _now: float) -> str:
    text = _text(payload, SINGLE_USE_UUID)
    if text is not None and _UUID.fullmatch(text):
        return ""
    return (
        f"{SINGLE_USE_UUID} is not a UUID. Use the form with 36 characters, such as"
        " 123e4567-e89b-42d3-a456-426614174000."
    )


def _maximum_resolution(payload: _Payload, _now: float) -> str:
    if _text(payload, MAXIMUM_RESOLUTION) in RESOLUTIONS:
        return ""
    return f"{MAXIMUM_RESOLUTION} is not a resolution of IVS. Use one of {', '.join(RESOLUTIONS)}."


# --- Origins


def _origins_string(payload: _Payload, _now: float) -> str:
    if _text(payload, ALLOWED_ORIGINS):
        return ""
    return (
        f"{ALLOWED_ORIGINS} must be one string with commas between the origins, not an array and"
        " not empty. To allow every origin, leave it out."
    )


def _origins_form(payload: _Payload, _now: float) -> str:
    wrong = [item for item in _origins(payload) if not _is_origin_pattern(item)]
    if not wrong:
        return ""
    return (
        f"These origins never match a browser: {_quote_first(wrong)}. Write each origin as * or"
        " scheme://host[:port], without a path, a final slash or spaces. The host may begin with *."
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


def _strict_origins_at_most_five(payload: _Payload, _now: float) -> str:
    is_strict = payload.get(STRICT_ORIGIN_ENFORCEMENT) is True
    if not is_strict or len(_origins(payload)) <= MAX_STRICT_ORIGINS:
        return ""
    return (
        f"With strict origin enforcement, at most {MAX_STRICT_ORIGINS} origins are allowed. Name"
        " fewer, or combine some with a * at the beginning of the host."
    )


def _strict_boolean(payload: _Payload, _now: float) -> str:
    if isinstance(payload[STRICT_ORIGIN_ENFORCEMENT], bool):
        return ""
    return f"{STRICT_ORIGIN_ENFORCEMENT} must be a JSON boolean. Use true or false, without quotes."


def _strict_with_origins(payload: _Payload, _now: float) -> str:
    if payload.get(STRICT_ORIGIN_ENFORCEMENT) is not True or ALLOWED_ORIGINS in payload:
        return ""
    return (
        "Strict origin enforcement has no effect without allowed origins. Name the origins that"
        " may play."
    )


# --- Claims that IVS does not document


def _nbf_absent(_payload: _Payload, _now: float) -> str:
    return (
        "IVS documents no nbf claim, and with clocks that differ it can only cause failures. Leave"
        " it out."
    )


def _integer(payload: _Payload, claim: str) -> int | None:
    """The claim's value if it is an integer. True is one in Python, but not in JSON."""
    value = payload.get(claim)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(payload: _Payload, claim: str) -> str | None:
    value = payload.get(claim)
    return value if isinstance(value, str) else None


def _origins(payload: _Payload) -> list[str]:
    text = _text(payload, ALLOWED_ORIGINS)
    return text.split(",") if text else []


def _quote_first(items: list[str]) -> str:
    """The first few items in quotes, each shortened, for a message."""
    shown = [repr(item[:_SHOWN_CHARACTERS]) for item in items[:_SHOWN_ITEMS]]
    return ", ".join([*shown, "…"] if len(items) > len(shown) else shown)
