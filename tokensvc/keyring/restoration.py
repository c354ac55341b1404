"""What a ring records about its restore from a backup.

Between the backup and the restore, key pairs may have signed that the restored ring calls a standby
or retiring, and a worker may sign by the lost ring until it reads the restored one. So a restore
counts as an end of signing for every key pair (rule 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from tokensvc.clock import rfc3339


@dataclass(frozen=True, slots=True)
class Restoration:
    """A restore from a backup, the latest one.

    Attributes:
        restored_by: the operator.
        restored_at: a time at which the restored ring was already saved, Unix seconds. It is
            recorded in a second write, like an end of signing; until then nothing is removed.
    """

    restored_by: str
    restored_at: float | None = None

    @property
    def sentence(self) -> str:
        """Who restored the ring, and when, for people."""
        when = "" if self.restored_at is None else f", at {rfc3339(self.restored_at)} or before"
        return f"{self.restored_by} restored this ring from a backup{when}."
