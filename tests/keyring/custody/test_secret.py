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
    """Base64 in both alphabets, padded or not, and hex in both cases, whatever stands around."""
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
def test_a_file_may_hold_the_bytes_themselves_or_a_written_form(
    tmp_path: Path, content: bytes
) -> None:
    """What `openssl rand` writes is taken with and without -base64 or -hex."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert load_key_encryption_secret(path) == SECRET


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 bytes; it needs 32"),
        (base64.b64encode(SECRET[:31]).decode(), "has 31 bytes; it needs 32"),
        (base64.b64encode(SECRET + b"x").decode(), "has 33 bytes; it needs 32"),
        (SECRET[:16].hex(), "has 24 bytes; it needs 32"),
        ("correct horse battery staple", "neither base64 nor hex"),
        ("g" * 64, "neither base64 nor hex"),
        ("é" * 32, "neither base64 nor hex"),
    ],
)
def test_anything_but_32_bytes_is_refused_with_the_command_that_makes_them(
    text: str, words: str
) -> None:
    """Shorter, longer or a password: no, and how to make a real one."""
    with pytest.raises(SettingsInvalid, match=f"in the environment .*{words}.*openssl rand") as no:
        load_key_encryption_secret(text)
    assert not text or text not in str(no.value)


def test_a_password_of_32_characters_is_not_taken_for_32_random_bytes(tmp_path: Path) -> None:
    """32 printable bytes in a file are a text, and no text of 32 characters is long enough."""
    path = tmp_path / "secret"
    path.write_bytes(b"abcdefghijklmnopqrstuvwxyz012345")
    with pytest.raises(SettingsInvalid, match="has 24 bytes; it needs 32"):
        load_key_encryption_secret(path)


def test_a_secret_that_lies_with_the_keys_is_refused(tmp_path: Path) -> None:
    """Whoever copies the folder must not have both; a link to it is no way around."""
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "secret").write_bytes(SECRET)
    (tmp_path / "link").symlink_to(keys / "secret")
    for path in (keys / "secret", tmp_path / "link"):
        with pytest.raises(SettingsInvalid, match="lies in the folder of the keys"):
            load_key_encryption_secret(path, keys_folder=keys)
    (keys / "secret").rename(tmp_path / "secret")
    assert load_key_encryption_secret(tmp_path / "secret", keys_folder=keys) == SECRET


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file is a wrong setting, and the setting is named."""
    with pytest.raises(SettingsInvalid, match=r"absent can't be read.*key_encryption_secret_file"):
        load_key_encryption_secret(tmp_path / "absent")
