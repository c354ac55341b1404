"""No issued token is refused because of a rotation, even when other faults happen."""

from __future__ import annotations

import pytest

from tests.fleet.mutants import MUTANTS, Mutant
from tests.fleet.processes import Parts
from tests.fleet.schedule import simulate
from tests.support.sizes import sized

STEPS_PER_SEED = 2_000
STEPS = sized(short=STEPS_PER_SEED, full=20_000)
MAX_SEEDS = 40


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_token_is_accepted_until_it_expires(seed: int) -> None:
    """Five runs of 2,000 steps each, at full size of 20,000, with all rules."""
    report = simulate(seed, STEPS)

    assert report.broken == (), report
    # A run in which nothing happens would prove nothing.
    assert report.tokens >= 100
    assert report.switches >= 10
    assert report.retirements >= 10
    assert report.crashes >= 5
    assert report.refusals >= 20


@pytest.mark.parametrize("seed", [1, 2])
def test_emergencies_with_a_lost_standby_end_and_break_no_other_token(seed: int) -> None:
    """Rule 10: another key takes over each time, and rotations go on."""
    report = simulate(seed, STEPS, Parts(loses_standbys=True))

    assert report.broken == (), report
    assert report.tokens >= 100
    assert report.switches >= 10
    assert report.retirements >= 20


def test_the_canary_delays_every_switch_until_the_edge_accepts_the_key() -> None:
    """Rule 2: imports take up to five minutes, and no token is refused."""
    report = simulate(6, STEPS, Parts(slowest_import_seconds=300, has_canary=True))

    assert report.broken == (), report
    assert report.switches >= 5


def test_no_token_breaks_while_the_clocks_of_rotators_are_five_minutes_off() -> None:
    """Ahead or behind, about every other time that a clock is set. The rotations go on."""
    report = simulate(8, STEPS, Parts(wrong_clock_seconds=300))

    assert report.broken == (), report
    assert report.tokens >= 100
    assert report.switches >= 5
    assert report.retirements >= 5


def test_the_same_seed_gives_the_same_run() -> None:
    """A run that found a broken token can be repeated."""
    assert simulate(7, 300) == simulate(7, 300)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_a_fleet_with_one_rule_left_out_breaks_a_token(mutant: Mutant) -> None:
    """The simulation finds a broken token that the rule would have prevented."""
    seeds = range(mutant.first_seed, mutant.first_seed + MAX_SEEDS)
    runs = (simulate(seed, STEPS_PER_SEED, mutant.parts) for seed in seeds)
    found = next((run for run in runs if run.broken), None)

    assert found is not None, f"No token broke with the seeds {seeds}."
    print(f"seed {found.seed}, {found.steps} steps: {found.broken[0]}")  # noqa: T201 # For -rP.
