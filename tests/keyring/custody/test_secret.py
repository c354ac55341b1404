from __future__ import annotations

import base64
import codecs
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.deadline import deadline
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.custody.secret import load_key_encryption_secret

SECRET = bytes(range(224, 256))


RANDOM = st.binary(min_size=32, max_size=32).filter(lambda secret: len(set(secret)) >= 12)


@given(secret=RANDOM, around=st.sampled_from(["", "\n", " \r\n", '"', "'"]))
@example(secret=bytes(range(224, 256)), around="\n")
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
        (SECRET[:16].hex(), "16 bytes.* 32"),
        ("correct horse battery staple", "base64.*hex"),
        ("g" * 64, "48 bytes.* 32"),
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


def wrapped(text: str) -> str:
    """The text in lines of 10 characters, as on Windows."""
    return "\r\n".join(text[start : start + 10] for start in range(0, len(text), 10))


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + base64.b64encode(SECRET) + b"\r\n",
        codecs.BOM_UTF16_LE + base64.b64encode(SECRET).decode().encode("utf-16-le"),
        codecs.BOM_UTF16_BE + SECRET.hex().encode("utf-16-be"),
        wrapped(base64.b64encode(SECRET).decode()).encode(),
        wrapped(SECRET.hex().upper()).encode(),
        SECRET.hex(" ").encode(),
    ],
    ids=["BOM and CRLF", "PowerShell", "UTF-16 BE", "wrapped base64", "wrapped hex", "grouped hex"],
)
def test_a_secret_is_read_as_editors_and_shells_leave_it(tmp_path: Path, content: bytes) -> None:
    """Each form has one meaning only."""
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert load_key_encryption_secret(path) == SECRET


def test_a_secret_is_read_from_a_kubernetes_volume(tmp_path: Path) -> None:
    """`secret -> ..data/secret`, `..data -> ..2026_11_26`; fsGroup made it group-readable."""
    (tmp_path / "..2026_11_26").mkdir()
    file = tmp_path / "..2026_11_26/secret"
    file.write_bytes(base64.b64encode(SECRET))
    os.chown(file, -1, os.getegid())
    file.chmod(0o440)
    (tmp_path / "..data").symlink_to("..2026_11_26")
    (tmp_path / "secret").symlink_to("..data/secret")
    assert load_key_encryption_secret(tmp_path / "secret") == SECRET


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_a_secret_that_everyone_can_access_is_refused_with_the_command(
    tmp_path: Path, mode: int
) -> None:
    """With what to set in Kubernetes, where chmod has no effect."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    path.chmod(mode)
    with pytest.raises(SettingsInvalid, match=f"chmod 600 {path}.*defaultMode"):
        load_key_encryption_secret(path)
    path.chmod(0o600)
    assert load_key_encryption_secret(path) == SECRET


def test_a_secret_that_is_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """A pipe gives its content once, and every worker has to read it."""
    os.mkfifo(tmp_path / "secret", 0o600)
    with deadline(5), pytest.raises(SettingsInvalid, match="named pipe"):
        load_key_encryption_secret(tmp_path / "secret")


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, b"secretly" * 4])
def test_32_bytes_that_are_not_random_are_refused(tmp_path: Path, secret: bytes) -> None:
    """Written as base64, as raw bytes in a file, or in the environment."""
    path = tmp_path / "secret"
    path.write_bytes(secret)
    for source in (path, base64.b64encode(secret).decode()):
        with pytest.raises(SettingsInvalid, match="openssl rand"):
            load_key_encryption_secret(source)


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


@given(st.text(max_size=100))
@example("\udcff\udc80" * 16)
def test_no_text_ends_in_another_error(text: str) -> None:
    """Also one with characters that an environment variable can't be decoded from."""
    try:
        secret = load_key_encryption_secret(text)
    except SettingsInvalid:
        return
    assert len(secret) == 32
