from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.token.rules import BrokenRule, broken_rules

NOW = 1_800_000_000.0
CHANNEL = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
UUID = "0F2B5A9C-6d1e-1f3a-8b4c-0123456789ab"
GOOD: dict[str, object] = {"aws:channel-arn": CHANNEL, "exp": 1_800_000_300}
FULL: dict[str, object] = {
    **GOOD,
    "aws:access-control-allow-origin": "https://a.example,https://*.b.example:8443",
    "aws:strict-origin-enforcement": True,
    "aws:single-use-uuid": UUID,
    "aws:viewer-id": "viewer-1",
    "aws:viewer-session-version": 1_800_000_000,
    "aws:maximum-resolution": "FULL_HD",
}


def rules(payload: dict[str, object], now: float = NOW) -> set[str]:
    """The identifiers of the broken rules."""
    return {broken.rule for broken in broken_rules(payload, now)}


def ivs_rules(payload: dict[str, object], now: float = NOW) -> set[str]:
    """The identifiers of the broken rules that make IVS refuse the token."""
    return {broken.rule for broken in broken_rules(payload, now) if broken.enforced_by_ivs}


def changed(**claims: object) -> dict[str, object]:
    """The full payload with other claims: `viewer_id` stands for `aws:viewer-id`."""
    known = {name.removeprefix("aws:").replace("-", "_"): name for name in FULL}
    return {**FULL, **{known[name]: value for name, value in claims.items()}}


def without(*claims: str) -> dict[str, object]:
    """The full payload without these claims."""
    return {name: value for name, value in FULL.items() if name not in claims}


def origins(text: object) -> dict[str, object]:
    """A payload that allows these origins."""
    return {**GOOD, "aws:access-control-allow-origin": text}


def test_a_minimal_and_a_full_payload_break_no_rule() -> None:
    """Two claims are enough, and all eight are valid together."""
    assert broken_rules(GOOD, NOW) == ()
    assert broken_rules(FULL, NOW) == ()


def test_an_empty_payload_breaks_two_rules_in_a_fixed_order() -> None:
    """Both required claims are reported at once, `exp` first."""
    assert [(rule.claim, rule.rule, rule.enforced_by_ivs) for rule in broken_rules({}, NOW)] == [
        ("exp", "exp_required", True),
        ("aws:channel-arn", "channel_arn_required", True),
    ]


@pytest.mark.parametrize("exp", [1_800_000_300.0, "1800000300", True, None, [1_800_000_300], {}])
def test_exp_must_be_an_integer(exp: object) -> None:
    """For a float, a string, a boolean or null, only this rule is reported."""
    assert rules(changed(exp=exp)) == {"exp_integer"}


@pytest.mark.parametrize(
    ("exp", "now", "broken"),
    [
        (1_800_000_000, 1_799_999_999.999, set()),
        (1_800_000_000, 1_800_000_000.0, {"exp_in_future"}),
        (1_800_000_000, 1_800_000_000.001, {"exp_in_future"}),
        (0, NOW, {"exp_in_future"}),
        (-(10**400), NOW, {"exp_in_future"}),
    ],
)
def test_a_token_expires_at_exp(exp: int, now: float, broken: set[str]) -> None:
    """There is no leeway: at `exp` itself it has expired."""
    assert ivs_rules({**GOOD, "exp": exp}, now) == broken


@pytest.mark.parametrize("claim", ["aws:viewer-id", "aws:single-use-uuid"])
@pytest.mark.parametrize(
    ("exp", "now", "broken"),
    [
        (1_800_000_600, 1_800_000_000.0, set()),
        (1_800_000_600, 1_799_999_999.75, {"ten_minute_rule"}),
        (1_800_000_601, 1_800_000_000.0, {"ten_minute_rule"}),
        (1_800_000_601, 1_800_000_000.75, {"ten_minute_rule"}),
        (1_800_000_601, 1_800_000_001.0, set()),
    ],
)
def test_with_a_viewer_id_or_single_use_exp_is_at_most_600_seconds_ahead(
    claim: str, exp: int, now: float, broken: set[str]
) -> None:
    """600 seconds are valid, a fraction more is not, with either of the two claims."""
    assert rules({**GOOD, "exp": exp, claim: UUID[:36]}, now) == broken


def test_without_a_viewer_id_or_single_use_a_token_may_have_a_long_lifetime() -> None:
    """A day is valid by IVS's rules."""
    assert rules({**GOOD, "exp": 1_800_086_400}) == set()


def test_an_exp_in_milliseconds_is_recognized() -> None:
    """From 100,000,000,000 on, exp can't be seconds; IVS itself is believed to accept it."""
    assert rules({**GOOD, "exp": 99_999_999_999}) == set()
    assert rules({**GOOD, "exp": 100_000_000_000}) == {"exp_in_seconds"}
    assert ivs_rules({**GOOD, "exp": 1_800_000_300_000}) == set()
    assert rules(changed(exp=1_800_000_300_000)) == {"exp_in_seconds", "ten_minute_rule"}
    assert rules(changed(exp=10**400)) == {"exp_in_seconds", "ten_minute_rule"}
    (milliseconds,) = broken_rules({**GOOD, "exp": 1_800_000_300_000}, NOW)
    assert "1,000" in milliseconds.message


@pytest.mark.parametrize(
    "arn",
    [
        None,
        12,
        [CHANNEL],
        "",
        "demo",
        CHANNEL + "\n",
        CHANNEL.replace("channel/", "playback-key/"),
        CHANNEL.replace("aws:ivs", "aws-cn:ivs"),
        CHANNEL.replace("abcd", "ab_cd"),
        CHANNEL.replace("123456789012", ""),
        CHANNEL + "x" * (129 - len(CHANNEL)),
    ],
)
def test_the_channel_must_be_a_channels_arn(arn: object) -> None:
    """Another kind of ARN, another type, and 129 characters are refused."""
    assert ivs_rules(changed(channel_arn=arn)) == {"channel_arn_form"}


def test_a_channel_arn_of_128_characters_is_the_longest() -> None:
    """IVS's model allows 128."""
    assert rules(changed(channel_arn=CHANNEL + "x" * (128 - len(CHANNEL)))) == set()


@pytest.mark.parametrize("version", [0, 1, 1_800_000_000, 2_147_483_647])
def test_a_session_version_that_can_be_revoked_is_valid(version: int) -> None:
    """From 0 to the largest 32-bit integer."""
    assert rules(changed(viewer_session_version=version)) == set()


@pytest.mark.parametrize("version", [-1, 2_147_483_648, -(2**63), 2**63 - 1])
def test_a_session_version_that_cannot_be_revoked_breaks_this_services_own_rule(
    version: int,
) -> None:
    """IVS accepts 64 bits in the claim, but only 32 bits from 0 in its API."""
    payload = changed(viewer_session_version=version)
    assert rules(payload) == {"session_version_revocable"}
    assert ivs_rules(payload) == set()


@pytest.mark.parametrize("version", [-(2**63) - 1, 2**63, 1.0, "1800000000", None, False])
def test_a_session_version_is_a_64_bit_integer(version: object) -> None:
    """Another type or size is refused by IVS."""
    assert ivs_rules(changed(viewer_session_version=version)) == {"session_version_integer"}


def test_a_session_version_without_a_viewer_id_breaks_this_services_own_rule() -> None:
    """It has no effect; IVS accepts it."""
    assert rules(without("aws:viewer-id")) == {"session_version_with_viewer_id"}
    assert ivs_rules(without("aws:viewer-id")) == set()


@pytest.mark.parametrize(
    "text",
    [UUID, UUID.lower(), UUID.upper(), "00000000-0000-0000-0000-000000000000"],
)
def test_a_uuid_of_any_version_and_case_is_valid(text: str) -> None:
    """IVS requires no particular version."""
    assert rules(changed(single_use_uuid=text)) == set()


@pytest.mark.parametrize(
    "text",
    ["", "once", UUID.replace("-", ""), f"{{{UUID}}}", UUID + "\n", UUID[:-1] + "g", None, 1],
)
def test_another_single_use_value_is_refused(text: object) -> None:
    """Only the form of 36 characters is valid."""
    assert ivs_rules(changed(single_use_uuid=text)) == {"single_use_uuid_form"}


@pytest.mark.parametrize("resolution", ["SD", "HD", "FULL_HD"])
def test_the_three_resolutions_are_valid(resolution: str) -> None:
    """In IVS's spelling."""
    assert rules(changed(maximum_resolution=resolution)) == set()


@pytest.mark.parametrize("resolution", ["", "hd", "FULLHD", "UHD", "SD,HD", 720, None, ["HD"]])
def test_another_resolution_is_refused(resolution: object) -> None:
    """IVS has only three."""
    assert ivs_rules(changed(maximum_resolution=resolution)) == {"maximum_resolution_value"}


@pytest.mark.parametrize("text", ["", None, 5, ["https://a.example"], True])
def test_origins_must_be_one_string(text: object) -> None:
    """An array is a common mistake."""
    assert ivs_rules(origins(text)) == {"origins_string"}


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://a.example",
        "http://localhost:3000",
        "https://*.amazon.com",
        "https://*amazon.com",
        "https://*",
        "https://*:8443",
        "HTTPS://A.Example",
        "https://a_b.c-d.example",
        "https://1.2.3.4:1",
        "https://[::1]:65535",
        "https://[2001:db8::1]",
        "capacitor://localhost",
        "chrome-extension://abcdefgh",
    ],
)
def test_an_origin_is_a_scheme_a_host_and_optionally_a_port(origin: str) -> None:
    """The host may begin with *; the origin may be at either end of a list."""
    assert rules(origins(origin)) == set()
    assert rules(origins(f"{origin},https://z.example")) == set()
    assert rules(origins(f"https://z.example,{origin}")) == set()


@pytest.mark.parametrize(
    "origin",
    [
        "a.example",
        "https://",
        "https://a.example/",
        "https://a.example/path",
        "https://a.example?x",
        "https://a.example#x",
        "https://user@a.example",
        " https://a.example",
        "https://a.example\n",
        "https://a .example",
        "https://a.example:",
        "https://a.example:0",
        "https://a.example:080",
        "https://a.example:65536",
        "https://a.example:port",
        "https://a..example",
        "https://a.example.",
        "https://-a.example",
        "https://a-.example",
        "https://a.*.example",
        "https://*.",
        "https://**.example",
        "https://[::1",
        "https://[::g]",
        "https://[1:2]",
        "https://bücher.example",
        "1https://a.example",
        "null",
        "**",
    ],
)
def test_an_origin_of_another_form_breaks_this_services_own_rule(origin: str) -> None:
    """IVS accepts the token, but no browser matches; also in a list with valid origins."""
    for text in (origin, f"https://z.example,{origin}", f"{origin},https://z.example"):
        assert rules(origins(text)) == {"origins_form"}
        assert ivs_rules(origins(text)) == set()


@pytest.mark.parametrize("text", [",", "https://a.example,", ",*", "*,,*", "*, *"])
def test_an_empty_item_or_a_space_after_a_comma_is_refused(text: str) -> None:
    """Only one comma is allowed between two origins."""
    assert rules(origins(text)) == {"origins_form"}


def test_a_long_list_of_wrong_origins_is_shortened_in_the_message() -> None:
    """The message is short for every input."""
    (broken,) = broken_rules(origins(",".join(["x" * 5_000] * 100)), NOW)
    assert len(broken.message) < 500
    assert "…" in broken.message


def test_strict_enforcement_allows_five_origins_and_not_six() -> None:
    """Without strict enforcement, any number is allowed."""
    five = ",".join(f"https://{n}.example" for n in range(5))
    assert rules({**origins(five), "aws:strict-origin-enforcement": True}) == set()
    six = five + ",*"
    assert ivs_rules({**origins(six), "aws:strict-origin-enforcement": True}) == {
        "strict_origins_at_most_five"
    }
    assert rules({**origins(six), "aws:strict-origin-enforcement": False}) == set()
    assert rules(origins(six)) == set()


@pytest.mark.parametrize("strict", ["true", 1, 0, None, []])
def test_strict_enforcement_must_be_true_or_false(strict: object) -> None:
    """A quoted true is a common mistake."""
    assert ivs_rules(changed(strict_origin_enforcement=strict)) == {"strict_boolean"}


def test_strict_enforcement_without_origins_breaks_this_services_own_rule() -> None:
    """It has no effect; IVS accepts it."""
    payload = without("aws:access-control-allow-origin")
    assert rules(payload) == {"strict_with_origins"}
    assert ivs_rules(payload) == set()
    assert rules({**payload, "aws:strict-origin-enforcement": False}) == set()


def test_nbf_breaks_this_services_own_rule_and_other_unknown_claims_break_none() -> None:
    """IVS ignores claims that it does not know."""
    assert rules({**GOOD, "nbf": 1}) == {"nbf_absent"}
    assert ivs_rules({**GOOD, "nbf": 1}) == set()
    assert rules({**GOOD, "iat": 1, "jti": "x", "sub": None, "aws:other": []}) == set()


def test_all_broken_rules_are_reported_at_once() -> None:
    """Fixing one mistake never reveals another one."""
    assert rules(
        {
            "exp": 1,
            "aws:channel-arn": "demo",
            "aws:viewer-id": "",
            "aws:viewer-session-version": "1",
            "aws:single-use-uuid": "",
            "aws:maximum-resolution": "4K",
            "aws:access-control-allow-origin": [],
            "aws:strict-origin-enforcement": "yes",
            "nbf": 0,
        }
    ) == {
        "exp_in_future",
        "channel_arn_form",
        "viewer_id_length",
        "session_version_integer",
        "single_use_uuid_form",
        "maximum_resolution_value",
        "origins_string",
        "strict_boolean",
        "nbf_absent",
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    payload=st.dictionaries(st.sampled_from([*FULL, "nbf"]) | st.text(), JSON),
    now=st.floats(0, 2**33),
)
def test_any_payload_gets_findings_and_never_an_error(
    payload: dict[str, object], now: float
) -> None:
    """Untrusted JSON values never raise, and each finding is a whole sentence."""
    for broken in broken_rules(payload, now):
        assert isinstance(broken, BrokenRule)
        assert broken.claim in {*FULL, "nbf"}
        assert broken.message[-1] in ".!"
