from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.custody.secret import load_key_encryption_secret

SECRET = bytes(range(224, 256))


@given(secret=st.binary(min_size=32, max_size=32), around=st.sampled_from(["", "\n", " \r\n"]))
@example(secret=b"\xff" * 32, around="\n")
def test_every_written_form_gives_the_same_32_bytes(secret: bytes, around: str) -> None:
    """Base64 in both alphabets, padded or not, and hex in both cases, with white space around."""
    forms = [
        base64.b64encode(secret).decode(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode(),
        secret.hex(),
        secret.hex().upper(),
    ]
    assert [load_key_encryption_secret(around + form + around) for form in forms] == [secret] * 5


@pytest.mark.parametrize(
    "content",
    [SECRET, base64.b64encode(SECRET) + b"\n", SECRET.hex().encode() + b"\n"],
    ids=["raw", "base64", "hex"],
)
def test_a_file_may_contain_the_raw_bytes_or_a_written_form(tmp_path: Path, content: bytes) -> None:
    """The output of `openssl rand` is accepted with and without -base64 or -hex."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert load_key_encryption_secret(path) == SECRET


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", "0 bytes.* 32"),
        (base64.b64encode(SECRET[:31]).decode(), "31 bytes.* 32"),
        (base64.b64encode(SECRET + b"x").decode(), "33 bytes.* 32"),
        (SECRET[:16].hex(), "24 bytes.* 32"),
        ("correct horse battery staple", "base64.*hex"),
        ("g" * 64, "base64.*hex"),
        ("é" * 32, "base64.*hex"),
    ],
)
def test_anything_but_32_bytes_is_refused_with_the_command_that_generates_them(
    text: str, data: str
) -> None:
    """Shorter, longer or a password. The error does not contain the text."""
    with pytest.raises(SettingsInvalid, match=f"environment .*{data}.*openssl rand") as refusal:
        load_key_encryption_secret(text)
    assert not text or text not in str(refusal.value)


def test_a_password_of_32_characters_is_not_accepted_as_32_raw_bytes(tmp_path: Path) -> None:
    """32 printable bytes in a file are read as text, and 32 characters are too short."""
    path = tmp_path / "secret"
    path.write_bytes(b"abcdefghijklmnopqrstuvwxyz012345")
    with pytest.raises(SettingsInvalid, match=r"24 bytes.* 32"):
        load_key_encryption_secret(path)


def test_a_secret_in_the_folder_of_the_keys_is_refused(tmp_path: Path) -> None:
    """A copy of the folder must not contain both. A link to the file is refused too."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "secret").write_bytes(SECRET)
    (tmp_path / "link").symlink_to(keys / "secret")
    for path in (keys / "secret", tmp_path / "link"):
        with pytest.raises(SettingsInvalid, match=str(path)):
            load_key_encryption_secret(path, keys_folder=keys)
    (keys / "secret").rename(tmp_path / "secret")
    assert load_key_encryption_secret(tmp_path / "secret", keys_folder=keys) == SECRET


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file is reported with its path and the setting."""
    with pytest.raises(SettingsInvalid, match=r"absent .*custody\.key_encryption_secret_file"):
        load_key_encryption_secret(tmp_path / "absent")
