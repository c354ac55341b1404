"""Fleets in which a rule is left out: what the model must catch, to be believed about the rest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tests.fleet.processes import TERMS, Parts
from tokensvc.clock import Moment
from tokensvc.errors import NoSigningKey
from tokensvc.keyring.model import Ring
from tokensvc.keyring.rotation import Action, Step
from tokensvc.keyring.steps import Steps
from tokensvc.keyring.view import RingView


class NeverTooOld(RingView):
    """Signs from the last view, however old it is: without rule 3."""

    def ring(self, moment: Moment) -> Ring:
        """The ring as it was last seen."""
        del moment
        ring = self._followed.latest().value
        if ring is None:
            raise NoSigningKey("There is no ring yet.")
        return ring


class EndsSigningTooSoon(Steps):
    """Reads the end of signing before the switch is saved: without rule 4's second write."""

    def do(self, ring: Ring, step: Step, why: str) -> Ring:
        """The ring after that step, the end of signing in the same write as the switch."""
        done = super().do(ring, step, why)
        if step.action is Action.SWITCH and ring.active is not None:
            return done.signing_ended(ring.active.key_id, self.clock.now())
        return done


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A fleet without a rule, and the seed with which the search for a broken token begins.

    The first seeds that find one were short when this was written; after a change of the code
    others may have to be tried.
    """

    parts: Parts
    first_seed: int


# The fleet's clocks differ by 10 s all the same: drains with less in the terms are too short.
_NO_SKEW = dataclasses.replace(TERMS, clock_skew_seconds=0)
_HALF_SKEW = dataclasses.replace(TERMS, clock_skew_seconds=5)

LEAVES_OUT = {
    "rule 2: an import takes far longer, and no canary asks": Sabotage(
        Parts(slowest_import_seconds=300), 12
    ),
    "rule 3: a view never grows too old": Sabotage(Parts(view=NeverTooOld), 0),
    "rule 4: the end of signing is read before the switch is saved": Sabotage(
        Parts(steps=EndsSigningTooSoon), 10
    ),
    "rule 4: the drain leaves the skew out": Sabotage(Parts(terms=_NO_SKEW), 9),
    "rule 4: the drain has the skew once, not twice": Sabotage(Parts(terms=_HALF_SKEW), 15),
}
