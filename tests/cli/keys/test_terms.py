"""`keys terms`, and numbers that no command accepts."""

from __future__ import annotations

import dataclasses

from tests.cli.conftest import Desk
from tests.cli.keys.desks import imported
from tests.support.clock import EXAMPLE_NOW
from tests.token.p384.openssl import private_key_pem
from tokensvc.arns import parse_region
from tokensvc.errors import NoSigningKey
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.ring_document import RingStore

LOWER = "[playback]\nmax_ttl_seconds = 600\n"
LIMITS = {
    "publish_delay_seconds": 60,
    "ring_max_age_seconds": 3_600,
    "longest_ttl_seconds": 3_600,
    "clock_skew_seconds": 10,
}


def with_shorter_tokens(desk: Desk) -> None:
    """Lower a setting; the ring keeps its limit."""
    desk.settings.write_text(desk.settings.read_text() + LOWER)


def test_a_lowered_setting_is_shown_beside_the_limit_of_the_ring(rotating_desk: Desk) -> None:
    """Nothing is changed without --lower."""
    with_shorter_tokens(rotating_desk)

    (shown,) = rotating_desk.json("keys", "terms")

    assert shown == {
        "region": "us-west-2",
        "terms": LIMITS,
        "settings": LIMITS | {"longest_ttl_seconds": 600},
        "former_terms": [],
    }
    assert rotating_desk.ring().terms.longest_ttl_seconds == 3_600


def test_lowering_says_which_limits_still_count_and_until_when(rotating_desk: Desk) -> None:
    """3,600 + 3,600 + 2 * 10 = 7,220 s, in `keys terms`, `rotate --plan` and `doctor`."""
    with_shorter_tokens(rotating_desk)
    at = rotating_desk.clock.now()

    (shown,) = rotating_desk.json("keys", "terms", "--lower", "--reason", "shorter tokens")

    assert shown["terms"] == LIMITS | {"longest_ttl_seconds": 600}
    assert [one["reason"] for one in shown["former_terms"]] == ["shorter tokens"]
    assert [one["terms"] for one in shown["former_terms"]] == [LIMITS]
    until = shown["former_terms"][0]["until"]
    assert at == EXAMPLE_NOW + 120
    assert until == "2027-01-15T10:02:20Z"
    assert until in rotating_desk.run("keys", "terms").stderr
    assert until in rotating_desk.run("keys", "rotate", "--plan").stderr
    found = {one["code"]: one["reason"] for one in rotating_desk.json("keys", "doctor")}
    assert until in found["former_terms"]
    rotating_desk.clock.advance(7_220)
    assert rotating_desk.json("keys", "terms")[0]["former_terms"] == []
    assert "terms" not in rotating_desk.run("keys", "rotate", "--plan").stderr


def test_a_region_without_a_ring_has_no_terms(desk: Desk) -> None:
    """The refusal names the command that makes the first key pair."""
    desk.state.create()
    assert isinstance(desk.error("keys", "terms"), NoSigningKey)


def test_a_limit_that_an_earlier_release_took_by_mistake_can_be_undone(rotating_desk: Desk) -> None:
    """1e14 s made every command fail. Each works, and lowering limits the damage to a week."""
    store = RingStore(rotating_desk.state, parse_region("us-west-2"))
    stored = store.load()
    assert stored is not None
    terms = dataclasses.replace(stored.ring.terms, longest_ttl_seconds=10**14)
    store.save(dataclasses.replace(stored.ring, terms=terms), replacing=stored.version)

    rotating_desk.done("keys", "rotate")
    for command in (
        ["list"],
        ["history"],
        ["reconcile"],
        ["terms"],
        ["rotate", "--plan", "--force"],
    ):
        rotating_desk.done("keys", *command)
    codes = {one["code"]: one["severity"] for one in rotating_desk.json("keys", "doctor")}
    assert codes["terms_above_settings"] == "warning"

    rotating_desk.done("keys", "terms", "--lower")

    # 604,800 + 3,600 + 2 * 10, from the second write of the lowering.
    rotating_desk.clock.advance(608_419)
    rotating_desk.done("keys", "reconcile")
    assert len(rotating_desk.ring().in_state(KeyState.RETIRING)) == 1
    rotating_desk.clock.advance(1)
    rotating_desk.done("keys", "reconcile")
    assert rotating_desk.ring().in_state(KeyState.RETIRING) == ()


def test_a_lifetime_that_no_setting_may_have_is_refused_by_adopt(desk: Desk) -> None:
    """Milliseconds, for example; the option is named, and nothing is adopted."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = imported(desk, private_key)
    adopt = ("keys", "adopt", "--private-key", str(private_key), "--arn", arn)

    for number in ("604801", "3600000", "1e14", "1" + 30 * "0", "-1", "nan", "inf", ""):
        error = desk.usage_error(*adopt, "--longest-ttl-seconds", number)
        assert "--longest-ttl-seconds" in error.format_message()
    assert "published" not in desk.run("keys", "list", "--json").stdout

    desk.done(*adopt, "--longest-ttl-seconds", "604800")


def test_a_duration_beyond_ten_years_or_without_a_unit_is_refused(desk: Desk) -> None:
    """A scheduled rotation that never comes due would go unnoticed."""
    for duration in ("3651d", "999999999d", "0d", "-1d", "nan", "1e9s", "inf", "30", "1.5h"):
        error = desk.usage_error("keys", "reconcile", "--rotate-after", duration)
        assert "--rotate-after" in error.format_message()

    desk.state.create()
    desk.done("keys", "reconcile", "--rotate-after", "3650d")


def test_a_token_lifetime_out_of_range_is_refused(desk: Desk) -> None:
    """Lower numbers are capped by the grant, as in the HTTP API."""
    for number in ("0", "-1", "604801", "1e14", "1" + 30 * "0", "nan"):
        error = desk.usage_error("tokens", "sign", "demo", "--ttl-seconds", number)
        assert "--ttl-seconds" in error.format_message()
