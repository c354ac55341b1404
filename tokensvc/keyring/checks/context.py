"""What each check of the doctor gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokensvc.arns import Region
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.checks.contradictions import Comparison
from tokensvc.keyring.checks.finding import Evidence, Finding, Severity
from tokensvc.keyring.model import Ring


@dataclass(frozen=True, slots=True)
class Context:
    """What each check gets.

    Attributes:
        evidence: all the evidence about the region.
        ring: the region's ring; an empty one when it has none.
        held: the key pairs held by IVS; empty when IVS did not answer.
    """

    evidence: Evidence
    ring: Ring
    held: Sequence[HeldKeyPair]

    @property
    def region(self) -> Region:
        """The ring's region."""
        return self.ring.region

    @property
    def comparison(self) -> Comparison:
        """The ring and the key pairs held by IVS, for the checks of contradictions."""
        return Comparison(self.ring, self.held, self.evidence.decommissioning)

    @property
    def reconcile_command(self) -> str:
        """The command that runs every step that is due in the region."""
        return f"tokensvc keys reconcile --region {self.region}"

    def finding(
        self, severity: Severity, code: str, subject: str, reason: str, hint: str
    ) -> Finding:
        """A finding about this region."""
        return Finding(severity, code, self.region, subject, reason, hint)
