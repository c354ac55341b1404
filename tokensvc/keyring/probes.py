"""The probes of the workers: which worker can sign with which key pair (rule 2).

A worker probes each key pair that signs or may become active when it first sees it, and a key pair
that failed again every `PROBE_AGAIN_SECONDS`. Each result replaces that worker's earlier one and
expires, so that a worker which has ended soon counts no more. A rotator reads them before a switch.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from tokensvc.arns import Region
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import RotationRefused, TokensvcError
from tokensvc.keyring.view import PROBE_AGAIN_SECONDS
from tokensvc.state.base import Record, State
from tokensvc.state.record_writer import RecordWriter

KIND = "key-probe"
VALID_SECONDS = 120.0
"""How long a result counts: a few times as long as the pause between two probes."""

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class FailedProbe:
    """A worker that could not sign with a key pair when it last tried.

    Attributes:
        key_id: the key pair.
        worker: the worker: its host and process ID.
        code: the code of the error.
        at: when it tried, Unix seconds.
    """

    key_id: str
    worker: str
    code: str
    at: float


@dataclass(frozen=True, slots=True)
class ProbeRecorder:
    """Records the probes of this process, in the background."""

    region: Region
    writer: RecordWriter
    clock: Clock

    def record(self, key_id: str, error: TokensvcError | None) -> None:
        """Record that this process can sign with that key pair, or why it can't."""
        now, worker = self.clock.now(), f"{socket.gethostname()} process {os.getpid()}"
        probe = _Probe(
            region=self.region,
            key_id=key_id,
            worker=worker,
            code=None if error is None else error.code,
            at=now,
        )
        record_id = f"{self.region}/{key_id}/{worker}"
        self.writer.put(Record(record_id, probe.model_dump_json(), now + VALID_SECONDS))


def failed_probes(state: State, region: Region, now: float) -> Sequence[FailedProbe]:
    """The workers whose newest probe of a key pair failed, by key ID and worker.

    Raises:
        StateUnavailable: when the state can't be read now.
    """
    found = []
    for record in state.records(KIND):
        probe = _decoded(record.body) if now < record.expires_at else None
        if probe is not None and probe.region == region and probe.code is not None:
            found.append(FailedProbe(probe.key_id, probe.worker, probe.code, probe.at))
    return sorted(found, key=lambda failed: (failed.key_id, failed.worker))


def workers_that_fail(failed: Sequence[FailedProbe]) -> str:
    """The sentence that names these workers, for people."""
    named = [f"{one.worker} ({one.code}, {rfc3339(one.at)})" for one in failed[:_MOST_NAMED]]
    if (more := len(failed) - len(named)) > 0:
        named.append(f"{more} more")
    return f"These workers can't sign with {failed[0].key_id}: {', '.join(named)}."


def require_usable(key_id: str, failed: Sequence[FailedProbe], *, command: str) -> None:
    """Return if no worker's newest probe of that key pair failed.

    Raises:
        RotationRefused: names the workers, and `command`, which switches anyway.
    """
    if of_key := [one for one in failed if one.key_id == key_id]:
        raise RotationRefused(
            f"{workers_that_fail(of_key)} They would refuse every request.",
            hint="Make the private key usable there: each worker tries again within "
            f"{PROBE_AGAIN_SECONDS:.0f} s. A worker that has ended counts no more after "
            f"{VALID_SECONDS:.0f} s. `{command}` switches anyway.",
        )


class _Probe(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)  # A newer release may add members.

    region: str
    key_id: str
    worker: str
    code: str | None
    at: float


def _decoded(body: str) -> _Probe | None:
    """The probe, or None for a record that another release wrote in another form."""
    try:
        return _Probe.model_validate_json(body)
    except ValidationError:
        return None
