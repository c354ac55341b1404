"""The section [limits]."""

from __future__ import annotations

import pytest

from tests.settings.files import MINIMAL, Load
from tokensvc.access.request_limits import RequestRates
from tokensvc.errors import SettingsInvalid
from tokensvc.rates import Rate


def test_without_limits_there_are_none(load: Load) -> None:
    """Callers and viewer IDs are unlimited; a person is not."""
    rates = load(MINIMAL).request_rates()
    assert (rates.caller(), rates.viewer()) == (None, None)
    assert rates.person() == Rate("person", 60, 60, burst=60)


def test_a_burst_of_its_own_or_twice_the_rate_and_a_whole_batch(load: Load) -> None:
    """100 requests are the largest batch."""
    assert RequestRates(caller_per_second=5).caller() == Rate("caller", 5, 1, burst=100)
    text = f"{MINIMAL}\n[limits]\ncaller_per_second = 200\nviewer_per_minute = 30\n"
    rates = load(text).request_rates()
    assert rates.caller() == Rate("caller", 200, 1, burst=400)
    assert rates.viewer() == Rate("viewer", 30, 60, burst=30)
    assert rates.person() == Rate("person", 30, 60, burst=30)
    small = load(text, {"TOKENSVC_LIMITS__CALLER_BURST": "7"}).request_rates()
    assert small.caller() == Rate("caller", 200, 1, burst=7)


def test_a_burst_needs_a_rate(load: Load) -> None:
    """And no limit is zero."""
    with pytest.raises(SettingsInvalid) as caught:
        load(f"{MINIMAL}\n[limits]\ncaller_burst = 7\n")
    problems = {problem.field: problem.rule for problem in caught.value.problems}
    assert problems == {"limits.caller_per_second": "missing"}
    with pytest.raises(SettingsInvalid) as caught:
        load(f"{MINIMAL}\n[limits]\nviewer_per_minute = 0\n")
    problems = {problem.field: problem.rule for problem in caught.value.problems}
    assert problems == {"limits.viewer_per_minute": "greater_than_equal"}
