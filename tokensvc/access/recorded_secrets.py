"""Which viewer ID secrets a deployment has: the document `viewer-ids` of the state.

A process with other secrets would compute other viewer IDs, and would not notice that a viewer is
banned. So the fingerprints of the secrets are in the state, and a process works with viewer IDs
only if

1. it has every recorded secret, so that it matches each viewer ID that a ban may name;
2. its current secret, the first one, is recorded, so that every other process matches the viewer
   IDs that it puts into tokens.

An operator records the secrets, with `tokensvc viewers record-secrets`, and no process does so by
itself: in a rolling deployment, a process can't know whether the others have its secrets already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from tokensvc.access.viewer_ids import ViewerIds
from tokensvc.errors import SecretsNotRecorded, SettingsInvalid
from tokensvc.state.base import NEW, Document, State
from tokensvc.state.schema import CURRENT, members_of

DOCUMENT_NAME: Final = "viewer-ids"

_RECORD: Final = "`tokensvc viewers record-secrets`"


@dataclass(frozen=True, slots=True)
class RecordedSecrets:
    """The viewer ID secrets of a deployment.

    Attributes:
        fingerprints: their fingerprints, sorted; empty before any was recorded.
    """

    fingerprints: tuple[str, ...] = ()

    @classmethod
    def of(cls, viewer_ids: ViewerIds) -> Self:
        """The secrets of this process, to be recorded."""
        return cls(tuple(sorted(viewer_ids.fingerprints)))

    def require(self, viewer_ids: ViewerIds) -> None:
        """Return if a process with these secrets matches what every other process matches.

        Raises:
            SettingsInvalid: when it does not.
        """
        if not self.fingerprints:
            raise SettingsInvalid(
                "The viewer ID secrets of this deployment have not been recorded in the state yet.",
                hint=f"Run {_RECORD} once.",
            )
        if missing := self.missing_from(viewer_ids.fingerprints):
            raise SettingsInvalid(
                f"{missing} of the {len(self.fingerprints)} viewer ID secrets that the state"
                " records are not in the settings of this process. It would not notice bans of"
                " viewer IDs under them.",
                hint="Add the missing secrets to viewer_ids.secret_file. If they are not needed any"
                f" more, run {_RECORD}.",
            )
        if viewer_ids.fingerprints[0] not in self.fingerprints:
            raise SettingsInvalid(
                "The current viewer ID secret of this process, the first one, is not recorded in"
                " the state. Processes without it would not notice bans of new viewer IDs.",
                hint="Put it at the end of the list, and start every process with that list. Then"
                f" run {_RECORD}, and move it to the front.",
            )

    def require_still(self, viewer_ids: ViewerIds) -> None:
        """Return if `require` does: for a process that has started, while others change the record.

        Raises:
            SecretsNotRecorded: when this process must not work with viewer IDs any more.
        """
        try:
            self.require(viewer_ids)
        except SettingsInvalid as exc:
            raise SecretsNotRecorded(exc.detail, hint=exc.hint) from exc

    def missing_from(self, fingerprints: Collection[str]) -> int:
        """How many recorded secrets are not among those with these fingerprints."""
        return len(set(self.fingerprints).difference(fingerprints))

    def encode(self) -> str:
        """The body of the document: JSON."""
        return _Stored(schema_version=CURRENT, fingerprints=self.fingerprints).model_dump_json()

    @classmethod
    def decode(cls, document: Document | None) -> Self:
        """The recorded secrets; none when `document` is None, because it was never saved.

        Raises:
            StateDamaged: when the document is not valid.
            SchemaUnsupported: when a newer release wrote it.
        """
        if document is None:
            return cls()
        return cls(tuple(members_of(document, _Stored, name=DOCUMENT_NAME).fingerprints))


def load_recorded(state: State) -> RecordedSecrets:
    """The recorded secrets, read now.

    Raises:
        StateUnavailable, StateDamaged: when they can't be read.
    """
    return RecordedSecrets.decode(state.load(DOCUMENT_NAME))


def record(state: State, viewer_ids: ViewerIds) -> RecordedSecrets:
    """Record the secrets of this process as those of the deployment, and return them.

    Raises:
        StateConflict: when another process has recorded others meanwhile. Nothing was written.
        StateUnavailable: when the state can't be written now.
    """
    recorded = RecordedSecrets.of(viewer_ids)
    document = state.load(DOCUMENT_NAME)
    if document is None or RecordedSecrets.decode(document) != recorded:
        replacing = NEW if document is None else document.version
        state.save(DOCUMENT_NAME, recorded.encode(), replacing=replacing)
    return recorded


_Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Stored(BaseModel):
    """The document. A tampered one with no fingerprint would accept every process."""

    model_config = ConfigDict(strict=True, extra="forbid")

    schema_version: int
    fingerprints: Annotated[Sequence[_Fingerprint], Field(min_length=1)]
