"""The rules about what decides who may ask for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tokensvc.errors import Problem
from tokensvc.settings.model import CustodySettings
from tokensvc.settings.viewer_ids import ViewerIdSettings


def viewer_id_rules(sections: Mapping[str, Any], folder: Path) -> Iterator[Problem]:
    """Every rule that the viewer ID secrets break.

    Args:
        sections: the sections that are valid by themselves, by name.
        folder: the folder of relative paths.
    """
    match sections:
        case {"viewer_ids": ViewerIdSettings() as viewer_ids}:
            if viewer_ids.secret is not None and viewer_ids.secret_file is not None:
                yield Problem(
                    "viewer_ids.secret_file",
                    "one_secret",
                    "The viewer ID secrets are set in two ways. Unset either this or"
                    " TOKENSVC_VIEWER_IDS__SECRET.",
                )
    match sections:
        case {
            "viewer_ids": ViewerIdSettings(secret_file=Path() as file),
            "custody": CustodySettings(files_url=str() as url),
        }:
            keys_folder = (folder / url.removeprefix("file:")).resolve()
            if (folder / file).resolve().is_relative_to(keys_folder):
                yield Problem(
                    "viewer_ids.secret_file",
                    "secret_beside_keys",
                    f"The secret is in {keys_folder}, the folder of the private keys and the state."
                    " A copy of that folder would then show who a viewer is. Move the"
                    " secret to another folder.",
                )
