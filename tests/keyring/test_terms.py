"""Rule 4: the limits of a ring rise with the settings, and fall by an operator's command only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.keyring.rings import DRAIN_SECONDS, TERMS, held, pair, ring
from tests.keyring.world import World, world_in
from tests.support.clock import EXAMPLE_NOW
from tests.support.documents import some_document
from tokensvc.errors import ClockOff
from tokensvc.keyring.drains import (
    drain_ends,
    former_terms_in_force,
    with_lowered_terms,
    with_terms_end,
)
from tokensvc.keyring.model import Act, KeyState, Ring
from tokensvc.keyring.ring_document import decode_ring, encode_ring
from tokensvc.keyring.rotation import next_step
from tokensvc.keyring.steps import Action, Done, Step
from tokensvc.keyring.terms import FormerTerms, Terms
from tokensvc.token.p384 import PublicKey

NOW = EXAMPLE_NOW
ACTIVE_B = pair("b", KeyState.ACTIVE)
LOW = Terms(
    publish_delay_seconds=60,
    ring_max_age_seconds=20,
    longest_ttl_seconds=300,
    clock_skew_seconds=5,
)
LOW_DRAIN_SECONDS = 330  # 20 + 300 + 2 * 5, by hand; DRAIN_SECONDS is that of TERMS: 3,740.


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world_in(tmp_path, monkeypatch) as world:
        yield world


def drain_end(of: Ring) -> float:
    """When the drain of the only retiring key pair ends."""
    ((ends_at, _),) = drain_ends(of)
    return ends_at


def lowered_at(of: Ring, at: float) -> Ring:
    """The ring with LOW as its terms, which were saved at that time."""
    return with_terms_end(with_lowered_terms(of, LOW, Act(at, "ann@desk", "shorter tokens")), at)


def draining_since(at: float) -> Ring:
    """A ring with TERMS whose key a stopped signing at that time."""
    return ring(pair("a", KeyState.RETIRING, signing_ended_at=at), ACTIVE_B)


@pytest.mark.parametrize(
    ("ended_before_lowering", "drain_seconds"),
    [
        (1_000, DRAIN_SECONDS),  # Its tokens were signed under the earlier terms only.
        (0, DRAIN_SECONDS),
        (-1_000, DRAIN_SECONDS - 1_000),  # Until 3,740 s after the lowering.
        (-3_409, LOW_DRAIN_SECONDS + 1),
        (-3_410, LOW_DRAIN_SECONDS),  # From here on the lower terms alone decide.
        (-9_000, LOW_DRAIN_SECONDS),
    ],
)
def test_a_drain_allows_for_what_was_signed_before_the_terms_were_lowered(
    ended_before_lowering: int, drain_seconds: int
) -> None:
    """No longer than the earlier drain, and not beyond the last token of the earlier terms."""
    ended_at = NOW - ended_before_lowering

    assert drain_end(lowered_at(draining_since(ended_at), NOW)) == ended_at + drain_seconds


def test_without_a_recorded_end_the_earlier_terms_count_in_full() -> None:
    """A crash between the two writes never shortens a drain; the next reconcile records the end."""
    between = with_lowered_terms(
        draining_since(NOW + 9_000), LOW, Act(NOW, "ann@desk", "shorter tokens")
    )

    assert drain_end(between) == NOW + 9_000 + DRAIN_SECONDS
    assert former_terms_in_force(between, NOW + 1e9) == [
        FormerTerms(TERMS, "ann@desk", "shorter tokens")
    ]
    assert next_step(between, held("a", "b"), NOW) == Step(Action.RECORD_TERMS_END)


def test_lowering_twice_keeps_what_is_in_force_and_drops_what_has_ended() -> None:
    """The ring does not collect earlier terms."""
    once = lowered_at(draining_since(NOW), NOW)
    (first,) = once.former_terms
    raised = once.with_terms(TERMS)

    again = lowered_at(raised, NOW + DRAIN_SECONDS - 1)
    assert [former.until for former in again.former_terms] == [
        NOW + DRAIN_SECONDS,
        NOW + 2 * DRAIN_SECONDS - 1,
    ]
    later = lowered_at(raised, NOW + DRAIN_SECONDS)
    assert first not in later.former_terms
    assert len(later.former_terms) == 1


def test_a_limit_beyond_all_settings_does_not_stay_for_longer_than_a_setting_could() -> None:
    """3,600,000 s: an hour in milliseconds. No process signs a token of more than a week."""
    mistaken = dataclasses.replace(TERMS, longest_ttl_seconds=3_600_000)
    of = dataclasses.replace(draining_since(NOW), terms=mistaken)
    assert drain_end(of) == NOW + 3_600_140

    # 604,800 + 120 + 2 * 10.
    assert drain_end(lowered_at(of, NOW)) == NOW + 604_940


def test_lowering_gives_the_limit_of_an_earlier_release_to_its_adopted_keys() -> None:
    """It raised the ring's limit for tokens that were signed elsewhere, and may still be signed."""
    adopted = pair("a", KeyState.RETIRING, adopted=True, signing_ended_at=NOW + 9_000)

    after = lowered_at(ring(adopted, ACTIVE_B), NOW)

    # 3,600 + 20 + 2 * 5.
    assert drain_end(after) == NOW + 9_000 + 3_630


def test_an_adopted_key_drains_for_the_tokens_that_were_signed_elsewhere(world: World) -> None:
    """Its lifetime is on its own record: a later key drains as the settings say."""
    private_key = ec.generate_private_key(ec.SECP384R1())
    public_key = PublicKey.of(private_key.public_key())
    in_ivs = world.key_pairs.import_pair(public_key, name="manual", tags={})
    adopted = world.rotator().adopt(private_key, in_ivs.arn, "first", longest_ttl_seconds=86_400)
    assert world.ring.terms == TERMS
    world.clock.advance(60)
    world.reconcile()
    world.clock.advance(60)
    world.rotator().request_rotation("ours")
    world.reconcile()

    # 86,400 + 120 + 2 * 10.
    assert drain_end(world.ring) == world.clock.now() + 86_540
    world.clock.advance(86_540)
    world.reconcile()
    assert world.ring.pair(adopted.key_id).state is KeyState.RETIRED

    world.clock.advance(60)
    world.rotator().request_rotation("monthly")
    world.reconcile()
    assert drain_end(world.ring) == world.clock.now() + DRAIN_SECONDS


def test_lowering_is_two_saves_and_the_limit_falls_with_the_first(world: World) -> None:
    """The end is read after the first save was acknowledged, however long that took."""
    world.copy_active_and_standby()
    before = world.store.load()
    assert before is not None

    after = world.rotator(terms=LOW).lower_terms("shorter tokens")

    assert after.terms == LOW
    assert after.former_terms == (
        FormerTerms(TERMS, "ann@desk", "shorter tokens", world.clock.now()),
    )
    stored = world.store.load()
    assert stored is not None
    assert stored.version.number == before.version.number + 2
    with world.view() as worker:
        assert worker.active(world.moment()).longest_ttl_seconds == 300
    world.rotator(terms=LOW).lower_terms("again")
    assert world.store.load() == stored  # Nothing is left to lower.


def test_hosts_with_different_settings_do_not_change_the_terms_in_turns(world: World) -> None:
    """Lower settings alone change nothing; the higher ones raise the ring once."""
    world.copy_active_and_standby()
    for terms in (LOW, TERMS, LOW, TERMS):
        assert isinstance(world.reconcile(world.rotator(terms=terms)), Done)
        assert world.ring.terms == TERMS
    world.rotator(terms=LOW).lower_terms("shorter tokens")
    for terms in (LOW, TERMS, LOW):
        world.reconcile(world.rotator(terms=terms))
    assert world.ring.terms == TERMS
    assert len(world.ring.former_terms) == 1


def test_reconcile_records_the_end_that_a_crash_left_out(world: World) -> None:
    """As it does with an end of signing."""
    world.copy_active_and_standby()
    stored = world.store.load()
    assert stored is not None
    between = with_lowered_terms(
        stored.ring, LOW, Act(world.clock.now(), "ann@desk", "shorter tokens")
    )
    world.store.save(between, replacing=stored.version)

    world.reconcile(world.rotator(terms=LOW))

    assert [former.ended_at for former in world.ring.former_terms] == [world.clock.now()]


def test_terms_are_not_lowered_by_a_wrong_clock(world: World) -> None:
    """Drains rest on the time of the lowering; 12 s ahead is beyond the 10 s that are allowed."""
    world.copy_active_and_standby()
    before = world.ring
    world.ivs.set_clock_offset(-12)

    with pytest.raises(ClockOff):
        world.rotator(terms=LOW).lower_terms("shorter tokens")

    assert world.ring == before


def test_former_terms_are_stored_and_a_ring_without_them_is_stored_as_before() -> None:
    """An earlier release refuses members that it does not know."""
    after = lowered_at(ring(pair("a", KeyState.ACTIVE, adopted=True)), NOW)

    assert decode_ring(some_document(encode_ring(after))) == after
    plain = encode_ring(ring(pair("a", KeyState.ACTIVE)))
    assert "former_terms" not in plain
    assert "adopted_ttl_seconds" not in plain
