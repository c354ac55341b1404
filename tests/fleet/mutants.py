"""Fleets with one rule left out: the simulation must find a broken token in each of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tests.fleet.processes import TERMS, Parts
from tokensvc.clock import Moment
from tokensvc.errors import NoSigningKey, RotationRefused, TokensvcError
from tokensvc.keyring.drains import with_lowered_terms, with_terms_end
from tokensvc.keyring.effects import Effects
from tokensvc.keyring.model import Act, KeyPair, KeyState, Ring
from tokensvc.keyring.rollback import rolled_back
from tokensvc.keyring.rotator import Rotator
from tokensvc.keyring.steps import Action, Step
from tokensvc.keyring.view import ActiveKey, RingView


class ViewWithoutMaxAge(RingView):
    """Signs from the last view at any age: rule 3 is left out."""

    def ring(self, moment: Moment) -> Ring:
        """The ring as it was last read."""
        del moment
        ring = self._watched.latest().value
        if ring is None:
            raise NoSigningKey("No ring has been read yet.")
        return ring


class ViewThatIgnoresCompromises(RingView):
    """Signs with a key that it has read to be compromised: rule 10 is left out."""

    def active(self, moment: Moment) -> ActiveKey:
        """The active key pair, whether or not it is compromised."""
        ring = self.ring(moment)
        pair = ring.require_active()
        return ActiveKey(pair.key_id, self._signer_of(pair), ring.terms.longest_ttl_seconds)


class RotatorWithEarlySigningEnd(Rotator):
    """Reads the end of signing before the switch is saved: rule 4's second write is left out."""

    def _after(self, ring: Ring, step: Step, why: str) -> tuple[Ring, Act]:
        """The ring after that step, with the end of signing in the same write as the switch."""
        after, act = super()._after(ring, step, why)
        if step.action is Action.SWITCH and ring.active is not None:
            return after.signing_ended(ring.active.key_id, self._effects.clock.now()), act
        return after, act


class RotatorWithFirstSigningEnd(Rotator):
    """Drains a key that signed twice from the end of its first signing: rule 9 is left out."""

    def _after(self, ring: Ring, step: Step, why: str) -> tuple[Ring, Act]:
        """The ring after that step, with the earliest end of signing that the history has."""
        after, act = super()._after(ring, step, why)
        if step.action is not Action.RECORD_SIGNING_END:
            return after, act
        ends = [
            line.at
            for line in ring.history
            if line.key_id == step.key_id and line.to_state is KeyState.RETIRING
        ]
        return after.signing_ended(step.key_id, ends[0]), act


class RotatorThatRollsBackADeletion(Rotator):
    """Rolls back to a key whose deletion was decided: another rule 9 is left out."""

    def rollback(self, reason: str, *, force: bool = False) -> KeyPair:
        """Switch back to the key that was replaced last, whether or not it is to be deleted."""
        stored = self._load()
        retiring = stored.ring.in_state(KeyState.RETIRING)
        if not retiring:
            raise RotationRefused("No key is retiring.")
        pair = max(retiring, key=lambda pair: pair.activated_at or 0)
        self._effects.check_before_rollback(stored.ring, pair, force=force)
        pairs = tuple(
            dataclasses.replace(each, delete_intended_at=None) if each == pair else each
            for each in stored.ring.pairs
        )
        ring = dataclasses.replace(stored.ring, pairs=pairs)
        after = rolled_back(ring, pair.key_id, self._effects.act(reason))
        return self._store.save(after, replacing=stored.version).ring.require_active()


class EffectsWithClockUnchecked(Effects):
    """Trusts the clock of the host: it is not compared with the dates of IVS's answers."""

    def clock_refusal(self, ring: Ring) -> TokensvcError | None:
        """Nothing is refused."""
        del ring
        return None


class RotatorWithoutFormerTerms(Rotator):
    """Forgets the terms that it lowers: drains are too short for what was signed before."""

    def lower_terms(self, reason: str) -> Ring:
        """The ring with the lower terms only."""
        ring = super().lower_terms(reason)
        stored = self._load()
        forgotten = dataclasses.replace(ring, former_terms=())
        return self._store.save(forgotten, replacing=stored.version).ring


class RotatorWithEarlyTermsEnd(Rotator):
    """Reads the end of the earlier terms before the lower ones are saved: one write for two."""

    def lower_terms(self, reason: str) -> Ring:
        """The ring with the lower terms and their end in the same write."""
        stored, _ = self._observe()
        act = self._effects.timed_act(stored.ring, reason)
        lowered = with_lowered_terms(stored.ring, self._terms, act)
        return self._store.save(with_terms_end(lowered, act.at), replacing=stored.version).ring


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
# A comparison of the clocks would refuse what shows the shorter drains.
_UNCHECKED = EffectsWithClockUnchecked

MUTANTS = {
    "rule 2: an import takes longer than the publish delay, without a canary": Mutant(
        Parts(slowest_import_seconds=300), 26
    ),
    "rule 3: views have no maximum age": Mutant(Parts(view=ViewWithoutMaxAge), 0),
    "rule 4: the end of signing is read before the switch is saved": Mutant(
        Parts(rotator=RotatorWithEarlySigningEnd), 25
    ),
    "rule 4: the drain does not include the skew": Mutant(
        Parts(terms=_NO_SKEW, effects=_UNCHECKED), 22
    ),
    "rule 4: the drain includes the skew once instead of twice": Mutant(
        Parts(terms=_SINGLE_SKEW, effects=_UNCHECKED), 80
    ),
    "rule 9: a key that signed twice drains from the end of its first signing": Mutant(
        Parts(rotator=RotatorWithFirstSigningEnd), 0
    ),
    "rule 9: a rollback ignores that a deletion was decided": Mutant(
        Parts(rotator=RotatorThatRollsBackADeletion), 34
    ),
    "rule 10: a replica signs with a key that it has read to be compromised": Mutant(
        Parts(view=ViewThatIgnoresCompromises), 25
    ),
    "a rotator's clock is five minutes off, and is not compared with IVS's": Mutant(
        Parts(wrong_clock_seconds=300, effects=_UNCHECKED), 0
    ),
}
