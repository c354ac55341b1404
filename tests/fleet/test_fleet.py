"""No token that was handed out is refused because of a rotation, whatever else goes wrong."""

from __future__ import annotations

import pytest

from tests.fleet.processes import Parts
from tests.fleet.sabotage import LEAVES_OUT, Sabotage
from tests.fleet.schedule import simulate

STEPS_PER_SEED = 2_000
MOST_SEEDS = 40


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_every_token_plays_for_all_its_life(seed: int) -> None:
    """Five runs of 2,000 steps each, all rules at work."""
    report = simulate(seed, STEPS_PER_SEED)

    assert report.broken == (), report
    # A run in which nothing happens would show nothing.
    assert report.tokens >= 100
    assert report.switches >= 10
    assert report.retirements >= 10
    assert report.crashes >= 5
    assert report.refusals >= 20


def test_the_canary_holds_every_switch_back_until_the_edge_knows_the_key() -> None:
    """Rule 2: imports take up to five minutes, and still no token is refused."""
    report = simulate(6, STEPS_PER_SEED, Parts(slowest_import_seconds=300, has_canary=True))

    assert report.broken == (), report
    assert report.switches >= 5


def test_the_same_seed_gives_the_same_run() -> None:
    """What a run found can be looked at again."""
    assert simulate(7, 300) == simulate(7, 300)


@pytest.mark.parametrize("sabotage", LEAVES_OUT.values(), ids=list(LEAVES_OUT))
def test_a_fleet_without_a_rule_breaks_a_token(sabotage: Sabotage) -> None:
    """The model can fail: it finds the token that the rule is there for."""
    seeds = range(sabotage.first_seed, sabotage.first_seed + MOST_SEEDS)
    runs = (simulate(seed, STEPS_PER_SEED, sabotage.parts) for seed in seeds)
    found = next((run for run in runs if run.broken), None)

    assert found is not None, f"No token broke with the seeds {seeds}."
    print(f"seed {found.seed}, {found.steps} steps: {found.broken[0]}")  # noqa: T201 # For -rP.
