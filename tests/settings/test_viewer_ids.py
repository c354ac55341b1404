"""The section `[viewer_ids]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.files import MINIMAL, Load
from tokensvc.errors import SettingsInvalid
from tokensvc.settings.viewer_id_secrets import viewer_ids_of

SECRET = bytes(range(32)).hex()


def rules(load: Load, text: str, environment: dict[str, str] | None = None) -> set[tuple[str, str]]:
    """The field and rule of each problem with the settings."""
    with pytest.raises(SettingsInvalid) as refusal:
        load(text, environment)
    return {(problem.field, problem.rule) for problem in refusal.value.problems}


def test_the_secrets_are_read_from_the_file_beside_the_settings(load: Load, tmp_path: Path) -> None:
    """A relative path begins at the folder of the settings; the environment has the same effect."""
    (tmp_path / "viewers").touch(mode=0o600)
    (tmp_path / "viewers").write_text(f"{SECRET}\n")
    from_file = load(f'{MINIMAL}[viewer_ids]\nsecret_file = "viewers"')
    from_environment = load(MINIMAL, {"TOKENSVC_VIEWER_IDS__SECRET": SECRET})
    assert from_file.viewer_ids.secret_file == tmp_path / "viewers"
    assert from_file.viewer_ids.secret_file in from_file.secret_files
    ids = [viewer_ids_of(each.viewer_ids).of("a", "b") for each in (from_file, from_environment)]
    assert ids[0] == ids[1]


def test_without_a_secret_there_are_no_viewer_ids(load: Load) -> None:
    """The settings are valid: a deployment without identity providers needs no secret."""
    with pytest.raises(SettingsInvalid):
        viewer_ids_of(load().viewer_ids)


def test_wrong_places_of_a_secret_are_refused(load: Load) -> None:
    """In the settings file, beside the private keys, or in two places."""
    beside_keys = f'{MINIMAL}[viewer_ids]\nsecret_file = "keys/viewers"'
    assert rules(load, beside_keys, {"TOKENSVC_VIEWER_IDS__SECRET": SECRET}) == {
        ("viewer_ids.secret_file", "secret_beside_keys"),
        ("viewer_ids.secret_file", "one_secret"),
    }
    in_file = f'{MINIMAL}[viewer_ids]\nsecret = "{SECRET}"'
    assert rules(load, in_file) == {("viewer_ids.secret", "secret_in_file")}
