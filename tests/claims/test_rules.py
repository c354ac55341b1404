from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.claim_rules import BrokenRule, broken_rules

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


def names(payload: dict[str, object], now: float = NOW) -> set[str]:
    """The names of the rules that are broken."""
    return {broken.rule for broken in broken_rules(payload, now)}


def of_ivs(payload: dict[str, object], now: float = NOW) -> set[str]:
    """Those that make IVS refuse."""
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


def test_the_smallest_and_the_fullest_payload_break_no_rule() -> None:
    """Two claims are enough, and all eight are fine together."""
    assert broken_rules(GOOD, NOW) == ()
    assert broken_rules(FULL, NOW) == ()


def test_an_empty_payload_lacks_two_claims_in_the_same_order_each_time() -> None:
    """Both required claims are named at once, `exp` first."""
    assert [(rule.claim, rule.rule, rule.enforced_by_ivs) for rule in broken_rules({}, NOW)] == [
        ("exp", "exp_required", True),
        ("aws:channel-arn", "channel_arn_required", True),
    ]


@pytest.mark.parametrize("exp", [1_800_000_300.0, "1800000300", True, None, [1_800_000_300], {}])
def test_exp_must_be_an_integer(exp: object) -> None:
    """A float, a string, a boolean or null is no time, and no other rule guesses at it."""
    assert names(changed(exp=exp)) == {"exp_integer"}


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
def test_a_token_is_dead_from_the_second_of_its_exp(exp: int, now: float, broken: set[str]) -> None:
    """No leeway: at `exp` itself it has expired."""
    assert of_ivs({**GOOD, "exp": exp}, now) == broken


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
def test_with_a_viewer_or_single_use_exp_is_600_seconds_ahead_at_most(
    claim: str, exp: int, now: float, broken: set[str]
) -> None:
    """600 seconds are fine, a fraction more is not, whichever of the two claims is there."""
    assert names({**GOOD, "exp": exp, claim: UUID[:36]}, now) == broken


def test_without_a_viewer_or_single_use_a_token_may_live_long() -> None:
    """A day is fine by IVS's rules."""
    assert names({**GOOD, "exp": 1_800_086_400}) == set()


def test_milliseconds_are_called_milliseconds() -> None:
    """From 100,000,000,000 on exp can't be seconds; IVS itself is believed to take it."""
    assert names({**GOOD, "exp": 99_999_999_999}) == set()
    assert names({**GOOD, "exp": 100_000_000_000}) == {"exp_in_seconds"}
    assert of_ivs({**GOOD, "exp": 1_800_000_300_000}) == set()
    assert names(changed(exp=1_800_000_300_000)) == {"exp_in_seconds", "ten_minute_rule"}
    assert names(changed(exp=10**400)) == {"exp_in_seconds", "ten_minute_rule"}
    (milliseconds,) = broken_rules({**GOOD, "exp": 1_800_000_300_000}, NOW)
    assert "milliseconds" in milliseconds.message
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
    """Another kind of ARN, another type, or 129 characters are no channel."""
    assert of_ivs(changed(channel_arn=arn)) == {"channel_arn_form"}


def test_a_channel_arn_of_128_characters_is_the_longest() -> None:
    """IVS's model allows 128."""
    assert names(changed(channel_arn=CHANNEL + "x" * (128 - len(CHANNEL)))) == set()


@pytest.mark.parametrize(
    "viewer_id", ["v", "x" * 40, "é" * 40, "🎥" * 40, "a b", "@", "a@b", "@b.c"]
)
def test_a_viewer_id_of_1_to_40_characters_is_fine(viewer_id: str) -> None:
    """Characters are counted, not bytes, and there is no alphabet."""
    assert names(changed(viewer_id=viewer_id)) == set()


@pytest.mark.parametrize("viewer_id", ["", "x" * 41, "é" * 41, 7, None, ["v"], True])
def test_a_viewer_id_of_another_length_or_type_is_refused(viewer_id: object) -> None:
    """None, one too many, and what is no string."""
    assert of_ivs(changed(viewer_id=viewer_id)) == {"viewer_id_length"}


@pytest.mark.parametrize("viewer_id", ["ann@example.com", "a@b.c", "a+b@x.y.z"])
def test_an_e_mail_address_is_no_viewer_id_in_this_house(viewer_id: str) -> None:
    """IVS can't know, so the house does; the address is not repeated."""
    (broken,) = broken_rules(changed(viewer_id=viewer_id), NOW)
    assert (broken.claim, broken.rule) == ("aws:viewer-id", "viewer_id_private")
    assert not broken.enforced_by_ivs
    assert viewer_id not in broken.message


@pytest.mark.parametrize("viewer_id", ["a@b", "a@.b", "a@b.", "a@b@c.d", "a b@c.d", "a@c d.e"])
def test_what_only_resembles_an_e_mail_address_is_fine(viewer_id: str) -> None:
    """A handle with an @ is no address."""
    assert names(changed(viewer_id=viewer_id)) == set()


def test_half_a_surrogate_pair_is_no_viewer_id() -> None:
    """Such a token could not be written as Unicode, nor its viewer be revoked."""
    assert of_ivs(changed(viewer_id="v\ud800")) == {"viewer_id_unicode"}


@pytest.mark.parametrize("version", [0, 1, 1_800_000_000, 2_147_483_647])
def test_a_session_version_that_can_be_revoked_is_fine(version: int) -> None:
    """From 0 to the largest 32-bit integer."""
    assert names(changed(viewer_session_version=version)) == set()


@pytest.mark.parametrize("version", [-1, 2_147_483_648, -(2**63), 2**63 - 1])
def test_a_session_version_that_cannot_be_revoked_breaks_a_rule_of_the_house(
    version: int,
) -> None:
    """IVS takes 64 bits in the claim, its API 32 bits from 0."""
    payload = changed(viewer_session_version=version)
    assert names(payload) == {"session_version_revocable"}
    assert of_ivs(payload) == set()


@pytest.mark.parametrize("version", [-(2**63) - 1, 2**63, 1.0, "1800000000", None, False])
def test_a_session_version_is_an_integer_of_64_bits(version: object) -> None:
    """Another type or size is refused by IVS."""
    assert of_ivs(changed(viewer_session_version=version)) == {"session_version_integer"}


def test_a_session_version_without_a_viewer_has_no_effect() -> None:
    """The house says so; IVS takes it."""
    assert names(without("aws:viewer-id")) == {"session_version_with_viewer_id"}
    assert of_ivs(without("aws:viewer-id")) == set()


@pytest.mark.parametrize(
    "text",
    [UUID, UUID.lower(), UUID.upper(), "00000000-0000-0000-0000-000000000000"],
)
def test_a_uuid_of_any_version_and_case_is_fine(text: str) -> None:
    """IVS asks for no version."""
    assert names(changed(single_use_uuid=text)) == set()


@pytest.mark.parametrize(
    "text",
    ["", "once", UUID.replace("-", ""), f"{{{UUID}}}", UUID + "\n", UUID[:-1] + "g", None, 1],
)
def test_what_is_no_uuid_is_refused(text: object) -> None:
    """The plain form of 36 characters and nothing else."""
    assert of_ivs(changed(single_use_uuid=text)) == {"single_use_uuid_form"}


@pytest.mark.parametrize("resolution", ["SD", "HD", "FULL_HD"])
def test_the_three_resolutions_are_fine(resolution: str) -> None:
    """As IVS spells them."""
    assert names(changed(maximum_resolution=resolution)) == set()


@pytest.mark.parametrize("resolution", ["", "hd", "FULLHD", "UHD", "SD,HD", 720, None, ["HD"]])
def test_another_resolution_is_refused(resolution: object) -> None:
    """IVS knows three."""
    assert of_ivs(changed(maximum_resolution=resolution)) == {"maximum_resolution_value"}


@pytest.mark.parametrize("text", ["", None, 5, ["https://a.example"], True])
def test_origins_are_one_string(text: object) -> None:
    """An array is the common mistake."""
    assert of_ivs(origins(text)) == {"origins_string"}


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
def test_an_origin_is_a_scheme_a_host_and_perhaps_a_port(origin: str) -> None:
    """And the host may begin with a star; a list may hold it at either end."""
    assert names(origins(origin)) == set()
    assert names(origins(f"{origin},https://z.example")) == set()
    assert names(origins(f"https://z.example,{origin}")) == set()


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
def test_an_origin_of_another_form_breaks_a_rule_of_the_house(origin: str) -> None:
    """IVS takes the token, and no browser matches; also when it stands among good ones."""
    for text in (origin, f"https://z.example,{origin}", f"{origin},https://z.example"):
        assert names(origins(text)) == {"origins_form"}
        assert of_ivs(origins(text)) == set()


@pytest.mark.parametrize("text", [",", "https://a.example,", ",*", "*,,*", "*, *"])
def test_an_empty_item_or_a_space_after_a_comma_is_no_origin(text: str) -> None:
    """One comma between two origins and nothing else."""
    assert names(origins(text)) == {"origins_form"}


def test_a_long_list_of_wrong_origins_is_shown_in_part() -> None:
    """The sentence stays short whatever was given."""
    (broken,) = broken_rules(origins(",".join(["x" * 5_000] * 100)), NOW)
    assert len(broken.message) < 500
    assert "…" in broken.message


def test_strict_takes_five_origins_and_not_six() -> None:
    """Without strict enforcement there may be any number."""
    five = ",".join(f"https://{n}.example" for n in range(5))
    assert names({**origins(five), "aws:strict-origin-enforcement": True}) == set()
    six = five + ",*"
    assert of_ivs({**origins(six), "aws:strict-origin-enforcement": True}) == {
        "strict_origins_at_most_five"
    }
    assert names({**origins(six), "aws:strict-origin-enforcement": False}) == set()
    assert names(origins(six)) == set()


@pytest.mark.parametrize("strict", ["true", 1, 0, None, []])
def test_strict_is_true_or_false(strict: object) -> None:
    """A quoted true is the common mistake."""
    assert of_ivs(changed(strict_origin_enforcement=strict)) == {"strict_boolean"}


def test_strict_without_origins_means_nothing() -> None:
    """The house says so; IVS takes it."""
    payload = without("aws:access-control-allow-origin")
    assert names(payload) == {"strict_with_origins"}
    assert of_ivs(payload) == set()
    assert names({**payload, "aws:strict-origin-enforcement": False}) == set()


def test_nbf_breaks_a_rule_of_the_house_and_other_unknown_claims_break_none() -> None:
    """IVS ignores what it does not know."""
    assert names({**GOOD, "nbf": 1}) == {"nbf_absent"}
    assert of_ivs({**GOOD, "nbf": 1}) == set()
    assert names({**GOOD, "iat": 1, "jti": "x", "sub": None, "aws:other": []}) == set()


def test_all_broken_rules_are_told_at_once() -> None:
    """Nobody mends one mistake only to hear of the next."""
    assert names(
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
    """Whatever JSON a stranger puts under the claims' names, each finding is a whole sentence."""
    for broken in broken_rules(payload, now):
        assert isinstance(broken, BrokenRule)
        assert broken.claim in {*FULL, "nbf"}
        assert broken.message[-1] in ".!"
