"""The files of a deployment that others can read or exchange: which faults to report, and how."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.protected_files import FileFault, examine_file, examine_folder
from tokensvc.state.sqlite_errors import obstacle_to_writing

_PRIVATE_KEYS = "*.pem"


@dataclass(frozen=True, slots=True)
class DeploymentFiles:
    """The files that the settings name, as far as they exist on this host.

    Attributes:
        keys_folder: the folder of the private key files; None when the custody has no files.
        secret_files: the files of the key-encryption secret, the previous one and the webhook's.
        state_file: the file of the state; None when the state is no file.
    """

    keys_folder: Path | None
    secret_files: Sequence[Path]
    state_file: Path | None

    def faults(self) -> Iterator[FileFault]:
        """Every fault. What is missing or can't be examined has its own error elsewhere."""
        folders = {self.keys_folder, self.state_file and self.state_file.parent} - {None}
        for folder in sorted(folder for folder in folders if folder is not None):
            with suppress(OSError):
                yield from examine_folder(folder)
        keys = sorted(self.keys_folder.glob(_PRIVATE_KEYS)) if self.keys_folder else []
        for path, follow_links in (
            *((key, False) for key in keys),
            *((secret, True) for secret in self.secret_files),
            *([(self.state_file, True)] if self.state_file else []),
        ):
            with suppress(OSError):
                yield from examine_file(path, follow_links=follow_links)


def find_obstacle_to_writing(state_file: Path | None) -> Sequence[Finding]:
    """A finding when the state can be read but not changed: signing goes on, rotation does not."""
    if state_file is None or not state_file.is_file():
        return ()
    obstacle = obstacle_to_writing(state_file)
    if obstacle is None:
        return ()
    return (
        Finding(
            Severity.WARNING, obstacle.code, None, str(state_file), obstacle.detail, obstacle.hint
        ),
    )


def find_open_files(
    faults: Iterable[FileFault], reported: Collection[Finding]
) -> Sequence[Finding]:
    """A finding for each fault of a file.

    A private key that one of the `reported` findings calls unusable is left out: its finding says
    what to run.
    """
    unusable = {
        finding.subject for finding in reported if finding.code == FindingCode.PRIVATE_KEY_UNUSABLE
    }
    return [
        Finding(
            Severity.SERIOUS if fault.is_refused else Severity.WARNING,
            FindingCode.FILE_ACCESS,
            None,
            str(fault.path),
            fault.detail,
            fault.hint,
        )
        for fault in faults
        if not (fault.is_refused and fault.path.stem in unusable)
    ]
