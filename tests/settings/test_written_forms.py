"""Settings files and variables as editors, shells and container tools leave them."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest

from tests.settings.files import MINIMAL
from tests.support.deadline import deadline
from tokensvc.errors import SettingsInvalid
from tokensvc.settings import load_settings


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + MINIMAL.encode(),
        MINIMAL.replace("\n", "\r\n").encode(),
        codecs.BOM_UTF16_LE + MINIMAL.encode("utf-16-le"),
        MINIMAL.rstrip().encode(),
    ],
    ids=["BOM", "CRLF", "UTF-16", "no newline at the end"],
)
def test_a_settings_file_is_read_as_an_editor_left_it(tmp_path: Path, content: bytes) -> None:
    """The values are the same."""
    path = tmp_path / "tokensvc.toml"
    path.write_bytes(content)
    settings = load_settings(path, {})
    assert settings.ivs.regions == ("us-west-2",)
    assert settings.custody.key_encryption_secret_file == tmp_path / "secret"


def test_relative_paths_begin_at_the_name_that_was_given(tmp_path: Path) -> None:
    """A Kubernetes volume: `tokensvc.toml -> ..data/tokensvc.toml`."""
    (tmp_path / "..2026_11_26").mkdir()
    (tmp_path / "..2026_11_26/tokensvc.toml").write_text(MINIMAL)
    (tmp_path / "..data").symlink_to("..2026_11_26")
    (tmp_path / "tokensvc.toml").symlink_to("..data/tokensvc.toml")
    settings = load_settings(tmp_path / "tokensvc.toml", {})
    assert settings.custody.key_encryption_secret_file == tmp_path / "secret"


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    """Latin-1, with the place of the first byte that is not UTF-8."""
    path = tmp_path / "tokensvc.toml"
    path.write_bytes("# für\n".encode("latin-1") + MINIMAL.encode())
    with pytest.raises(SettingsInvalid, match=f"{path} is not UTF-8 text, from byte 4"):
        load_settings(path, {})


def test_a_pipe_or_a_folder_is_named_without_waiting(tmp_path: Path) -> None:
    """The settings are read again by every worker and at a reload."""
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "named pipe"), (tmp_path, "folder")):
        with deadline(5), pytest.raises(SettingsInvalid, match=f"{path} is a {kind}"):
            load_settings(path, {})


def test_a_link_to_a_missing_file_is_not_an_absent_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the settings would silently come from the environment alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokensvc.toml").symlink_to("missing")
    with pytest.raises(SettingsInvalid, match=r"tokensvc\.toml can't be read"):
        load_settings(None, {})


def test_blanks_around_a_variable_are_no_part_of_its_value(tmp_path: Path) -> None:
    """An env file with CRLF, or a value that was copied with its newline."""
    path = tmp_path / "tokensvc.toml"
    path.write_text(MINIMAL)
    settings = load_settings(
        path, {"TOKENSVC_IVS__REGIONS": "eu-west-1\r", "TOKENSVC_PLAYBACK__TTL_SECONDS": " 90\n"}
    )
    assert settings.ivs.regions == ("eu-west-1",)
    assert settings.playback.ttl_seconds == 90
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(path, {"TOKENSVC_PLAYBACK__TTL_SECONDS": "\r"})
    assert [problem.rule for problem in caught.value.problems] == ["empty"]


def test_a_working_folder_that_was_deleted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where a path begins there."""
    (tmp_path / "tokensvc.toml").write_text(MINIMAL)
    (tmp_path / "deleted").mkdir()
    monkeypatch.chdir(tmp_path / "deleted")
    (tmp_path / "deleted").rmdir()
    for config in (None, Path("tokensvc.toml")):
        with pytest.raises(SettingsInvalid, match="working folder"):
            load_settings(config, {})
    assert load_settings(tmp_path / "tokensvc.toml", {}).ivs.regions == ("us-west-2",)
