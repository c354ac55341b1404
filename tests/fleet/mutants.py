"""Fleets with one rule left out: the simulation must find a broken token in each of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tests.fleet.processes import TERMS, Parts
from tokensvc.clock import Moment
from tokensvc.errors import NoSigningKey
from tokensvc.keyring.model import Ring
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Action, Step
from tokensvc.keyring.view import RingView


class ViewWithoutMaxAge(RingView):
    """Signs from the last view at any age: rule 3 is left out."""

    def ring(self, moment: Moment) -> Ring:
        """The ring as it was last read."""
        del moment
        ring = self._watched.latest().value
        if ring is None:
            raise NoSigningKey("No ring has been read yet.")
        return ring


class RotatorWithEarlySigningEnd(Rotator):
    """Reads the end of signing before the switch is saved: rule 4's second write is left out."""

    def _after(self, ring: Ring, step: Step, why: str) -> Ring:
        """The ring after that step, with the end of signing in the same write as the switch."""
        after = super()._after(ring, step, why)
        if step.action is Action.SWITCH and ring.active is not None:
            return after.signing_ended(ring.active.key_id, self._effects.clock.now())
        return after


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fleet with one rule left out, and the first seed of the search for a broken token.

    When this was written, these seeds soon found one. After a change of the code, others may be
    needed.
    """

    parts: Parts
    first_seed: int


# The fleet's clocks still differ by 10 s, so drains with a smaller skew in the terms are too short.
_NO_SKEW = dataclasses.replace(TERMS, clock_skew_seconds=0)
_SINGLE_SKEW = dataclasses.replace(TERMS, clock_skew_seconds=5)

MUTANTS = {
    "rule 2: an import takes longer than the publish delay, without a canary": Mutant(
        Parts(slowest_import_seconds=300), 12
    ),
    "rule 3: views have no maximum age": Mutant(Parts(view=ViewWithoutMaxAge), 0),
    "rule 4: the end of signing is read before the switch is saved": Mutant(
        Parts(rotator=RotatorWithEarlySigningEnd), 10
    ),
    "rule 4: the drain does not include the skew": Mutant(Parts(terms=_NO_SKEW), 9),
    "rule 4: the drain includes the skew once instead of twice": Mutant(
        Parts(terms=_SINGLE_SKEW), 15
    ),
}
