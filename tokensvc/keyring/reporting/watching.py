"""A worker's view of the record of the reconcile runs: it notices a schedule that does not run."""

from __future__ import annotations

import logging
from collections.abc import Collection

from tokensvc.arns import Region
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.reporting.record import DOCUMENT_NAME, ReconcileRecord
from tokensvc.state.base import State
from tokensvc.state.shared_versions import SharedVersions
from tokensvc.state.watch import Watched

_logger = logging.getLogger(__name__)


class ReconcileWatch:
    """Watches the record. Start it in the process that uses it, after any fork.

    When no run of a region has succeeded for too long, that is logged once, and so is its end.

    Attributes:
        watched: the record.
    """

    def __init__(  # The last two say how the state is followed.
        self,
        state: State,
        clock: Clock,
        regions: Collection[Region],
        *,
        overdue_after_seconds: float,
        refresh_seconds: float,
        versions: SharedVersions | None = None,
    ) -> None:
        """A view that reads nothing before it is started.

        Args:
            state: the state with the record.
            clock: the time.
            regions: the regions whose schedule must run.
            overdue_after_seconds: how long no run need succeed; 0 for any time.
            refresh_seconds: the interval between two reads.
            versions: reads the versions of the documents for all watchers of this process.
        """
        self._clock = clock
        self._regions = regions
        self._overdue_after_seconds = overdue_after_seconds
        self._logged: set[Region] = set()
        self.watched: Watched[ReconcileRecord] = Watched(
            state,
            DOCUMENT_NAME,
            ReconcileRecord.decode,
            clock=clock,
            refresh_seconds=refresh_seconds,
            on_pass=self.look,
            versions=versions,
        )

    def start(self) -> None:
        """Read the record now, then follow its changes until `close`."""
        self.watched.start()

    def close(self) -> None:
        """Stop following changes."""
        self.watched.close()

    def record(self) -> ReconcileRecord:
        """The record as it was read last; an empty one if it was not read yet."""
        try:
            return self.watched.latest().value
        except TokensvcError:  # The views of the rings report what is wrong with the state.
            return ReconcileRecord()

    def is_overdue(self, region: Region, now: float) -> bool:
        """Whether no run of the region has succeeded for too long, at that time (Unix seconds)."""
        record = self.record().region(region)
        allowed = self._overdue_after_seconds
        return record is not None and record.overdue_seconds(now, allowed) is not None

    def look(self) -> None:
        """Log each region that has become overdue, and each that is so no longer."""
        now = self._clock.now()
        for region in self._regions:
            if self.is_overdue(region, now) == (region in self._logged):
                continue
            self._logged ^= {region}
            if region not in self._logged:
                _logger.info("`tokensvc keys reconcile` succeeds again in %s", region)
                continue
            run = self.record().region(region)
            succeeded_at = None if run is None else run.succeeded_at
            _logger.warning(
                "`tokensvc keys reconcile` is overdue in %s: it succeeded last %s. No rotation goes"
                " on. Run `tokensvc keys doctor`.",
                region,
                "never" if succeeded_at is None else f"at {rfc3339(succeeded_at)}",
            )
