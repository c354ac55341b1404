"""Gather the evidence about several regions and examine it, without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tokensvc.arns import Region
from tokensvc.clock import Clock
from tokensvc.errors import TokensvcError
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.keyring.binding import Binding
from tokensvc.keyring.checks.checks_of_reports import find_failed_notifications
from tokensvc.keyring.checks.checks_of_revocations import (
    OverdueRevocations,
    find_overdue_revocations,
    none_overdue,
)
from tokensvc.keyring.checks.examination import examine, find_orphans, unusable_private_keys
from tokensvc.keyring.checks.files import (
    DeploymentFiles,
    find_obstacle_to_writing,
    find_open_files,
)
from tokensvc.keyring.checks.finding import Evidence, Finding
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.keyring.custody.moving import parts_of
from tokensvc.keyring.lookup import ReadRing
from tokensvc.keyring.model import Ring
from tokensvc.keyring.probes import FailedProbe
from tokensvc.keyring.reporting.record import ReconcileRecord
from tokensvc.keyring.terms import Terms

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionToExamine:
    """One region: how its IVS is read, and what is configured for it.

    The functions raise TokensvcError when IVS can't be called; such an error becomes a finding.

    Attributes:
        region: the region.
        account_id: the AWS account.
        read_endpoint: returns the endpoint of IVS to which a ring is bound.
        read_held: returns the key pairs held by IVS.
        read_clock_offset_seconds: returns how far this clock is ahead of the clock of IVS.
        read_failed_probes: returns the workers that can't sign with a key pair.
        clock_skew_seconds: the largest allowed difference between any two clocks.
        key_age_warning_seconds: how long a key may sign before it is reported as old.
        terms: the limits in the settings.
        keep_standby: whether the settings ask for a standby.
        has_canary: whether a canary channel is configured for the region.
        reconcile_overdue_seconds: how long no reconcile run need succeed; 0 for any time.
        decommissioning: whether the region was removed from the settings.
    """

    region: Region
    account_id: str
    read_endpoint: Callable[[], str]
    read_held: Callable[[], Sequence[HeldKeyPair]]
    read_clock_offset_seconds: Callable[[], float]
    read_failed_probes: Callable[[], Sequence[FailedProbe]]
    clock_skew_seconds: int
    key_age_warning_seconds: int
    terms: Terms
    keep_standby: bool
    has_canary: bool
    reconcile_overdue_seconds: int
    decommissioning: bool


@dataclass(frozen=True, slots=True)
class Doctor:
    """Examines regions that share a state and a custody.

    Attributes:
        regions: the regions to examine.
        read_ring: returns a region's stored ring, None without one; raises TokensvcError.
        open_custody: returns a region's custody; raises TokensvcError when it can't be opened.
        clock: the time.
        configured: the regions of the settings; their rings may record a key in custody.
        files: the files of the deployment on this host.
        read_record: returns the record of the reconcile runs; raises TokensvcError.
        read_overdue: returns which revocations of sessions are overdue; raises TokensvcError.
    """

    regions: Sequence[RegionToExamine]
    read_ring: ReadRing
    open_custody: Callable[[Region], Custody]
    clock: Clock
    configured: Sequence[Region]
    files: DeploymentFiles
    read_record: Callable[[], ReconcileRecord]
    read_overdue: Callable[[], OverdueRevocations] = none_overdue

    def examine(self) -> tuple[Finding, ...]:
        """All findings: of each region the most serious first, then of custody and files."""
        with_rings = dict.fromkeys((*self.configured, *(one.region for one in self.regions)))
        rings = {region: _value_or_error(partial(self.read_ring, region)) for region in with_rings}
        record = _value_or_error(self.read_record)
        findings: list[Finding] = []
        in_custody: dict[str, None] = {}  # In the order in which they were listed, each once.
        for one in self.regions:
            key_ids = _value_or_error(partial(self._key_ids, one.region))
            in_custody |= dict.fromkeys(() if isinstance(key_ids, TokensvcError) else key_ids)
            findings += examine(self._evidence(one, rings[one.region], key_ids, record))
        readable = [ring for ring in rings.values() if not isinstance(ring, TokensvcError)]
        # An unreadable ring may record any key, so no key can be called an orphan then.
        if len(readable) == len(rings):
            findings += find_orphans(
                in_custody, [ring for ring in readable if ring is not None], findings
            )
        findings += find_open_files(self.files.faults(), findings)
        findings += find_obstacle_to_writing(self.files.state_file)
        findings += find_failed_notifications(record, findings)
        findings += find_overdue_revocations(_value_or_error(self.read_overdue), findings)
        return tuple(findings)

    def _key_ids(self, region: Region) -> Collection[str]:
        return self.open_custody(region).key_ids()

    def _evidence(
        self,
        one: RegionToExamine,
        ring: Ring | TokensvcError | None,
        custody_key_ids: Collection[str] | TokensvcError,
        record: ReconcileRecord | TokensvcError,
    ) -> Evidence:
        endpoint = _value_or_error(one.read_endpoint)
        if isinstance(endpoint, TokensvcError):
            # IVS can't be called at all. `held` reports that, so the endpoint is not compared.
            endpoint = ring.endpoint if isinstance(ring, Ring) else ""
        held = _value_or_error(one.read_held)
        offset = _value_or_error(one.read_clock_offset_seconds)
        failed_probes = _value_or_error(one.read_failed_probes)
        unusable: Mapping[str, TokensvcError] = {}
        if isinstance(ring, Ring) and not isinstance(custody_key_ids, TokensvcError):
            unusable = unusable_private_keys(self.open_custody(one.region), ring)
        return Evidence(
            binding=Binding(one.region, one.account_id, endpoint),
            ring=ring,
            held=held,
            custody_key_ids=custody_key_ids,
            unusable=unusable,
            # The state that can't be read now is reported once, for the ring.
            failed_probes=() if isinstance(failed_probes, TokensvcError) else failed_probes,
            reconciled=None if isinstance(record, TokensvcError) else record.region(one.region),
            reconcile_overdue_seconds=one.reconcile_overdue_seconds,
            now=self.clock.now(),
            clock_offset_seconds=offset,
            clock_skew_seconds=one.clock_skew_seconds,
            key_age_warning_seconds=one.key_age_warning_seconds,
            terms=one.terms,
            keep_standby=one.keep_standby,
            has_canary=one.has_canary,
            decommissioning=one.decommissioning,
            unnamed_kms_keys=self._unnamed_kms_keys(one.region),
        )

    def _unnamed_kms_keys(self, region: Region) -> Collection[str] | TokensvcError | None:
        custody = _value_or_error(partial(self.open_custody, region))
        parts = () if isinstance(custody, TokensvcError) else parts_of(custody)
        kms = next((part for part in parts if isinstance(part, KmsCustody)), None)
        return None if kms is None else _value_or_error(kms.unnamed_keys)


def _value_or_error(read: Callable[[], _Value]) -> _Value | TokensvcError:
    """What `read` returns, or the error that it raises, which becomes a finding."""
    try:
        return read()
    except TokensvcError as exc:
        return exc
