"""Viewer IDs of users who sign in, and the secrets from which they are made."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.access.viewer_ids import ViewerIds, load_viewer_id_secrets
from tokensvc.errors import SettingsInvalid

SECRET = bytes(range(224, 256))
OTHER = bytes(range(100, 148))
ISSUER = "https://issuer.example.com/"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("ann@example.com", "6NEFTlN1HZk-CmLtXUpHZxda237RXZEJ3Cnpytfd"),
        ('zoë "q" ☂', "sAhV9lXXh7AE8FqvwQeAH3-9bqtsxy79aMem2iJ0"),
    ],
)
def test_a_viewer_id_is_the_documented_hash(subject: str, expected: str) -> None:
    """Computed by OpenSSL from the command in docs/viewer-ids.md, over UTF-8."""
    assert ViewerIds([SECRET]).of(ISSUER, subject) == (expected,)


def test_there_is_a_viewer_id_under_each_secret_the_current_one_first() -> None:
    """In the order of the secrets, so that the first is the one of new tokens."""
    first, second = ViewerIds([OTHER, SECRET]).of(ISSUER, "ann")
    assert ViewerIds([SECRET, OTHER]).of(ISSUER, "ann") == (second, first)
    assert first != second


@given(
    first=st.tuples(st.text(), st.text()),
    second=st.tuples(st.text(), st.text()),
)
def test_viewer_ids_of_different_users_differ(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    """Wherever the issuer ends and the subject begins. IVS allows 40 characters."""
    of_first, of_second = (ViewerIds([SECRET]).of(*user)[0] for user in (first, second))
    assert (of_first == of_second) == (first == second)
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", of_first)


def test_issuer_and_subject_are_not_simply_joined() -> None:
    """Otherwise a subject could be chosen that has the viewer ID of a user of another issuer."""
    assert ViewerIds([SECRET]).of("a", "bc") != ViewerIds([SECRET]).of("ab", "c")
    assert ViewerIds([SECRET]).of('a","b', "c") != ViewerIds([SECRET]).of("a", 'b","c')


def test_bytes_of_a_command_line_that_are_not_utf_8_have_a_viewer_id() -> None:
    """Such an argument has unpaired surrogates, which UTF-8 does not have."""
    assert ViewerIds([SECRET]).of(ISSUER, "\udcff") != ViewerIds([SECRET]).of(ISSUER, "\udcfe")


def test_a_fingerprint_identifies_a_secret_and_is_no_viewer_id() -> None:
    """Computed by OpenSSL: HMAC-SHA-256 of a fixed text, 32 hex digits."""
    assert ViewerIds([SECRET]).fingerprints == ("a46d1e7dbb7e206eb81c0218a740cb84",)
    assert len(set(ViewerIds([SECRET, OTHER]).fingerprints)) == 2


@pytest.mark.parametrize("separator", ["\n", ",", " , ", "\r\n\r\n"])
def test_secrets_are_read_from_a_file_or_the_environment(tmp_path: Path, separator: str) -> None:
    """In base64 or hex, separated by line breaks or commas."""
    text = separator.join([base64.b64encode(SECRET).decode(), OTHER.hex().upper()])
    file = tmp_path / "secrets"
    file.touch(mode=0o600)
    file.write_text(f"{text}\n")
    assert load_viewer_id_secrets(text) == [SECRET, OTHER]
    assert load_viewer_id_secrets(file) == [SECRET, OTHER]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        SECRET[:31].hex(),
        base64.b64encode(SECRET[:31]).decode(),
        "correct horse battery staple",
        bytes(32).hex(),
        f"{SECRET.hex()},{SECRET.hex()}",
        f"{SECRET.hex()} {base64.b64encode(SECRET).decode()}",
        f"{SECRET.hex()},{SECRET[:8].hex()}",
        ",".join(bytes(range(start, start + 32)).hex() for start in range(9)),
    ],
)
def test_other_secrets_are_refused(text: str) -> None:
    """None, too short, not random, repeated or too many. No message has a secret."""
    with pytest.raises(SettingsInvalid) as refusal:
        load_viewer_id_secrets(text)
    assert not any(part in str(refusal.value) for part in re.findall(r"\w{12,}", text))


@pytest.mark.parametrize(
    ("content", "mode"),
    [(SECRET.hex().encode(), 0o644), (b"\xff\xfe\xfd", 0o600), (None, 0o600)],
    ids=["every user can read it", "not text", "absent"],
)
def test_a_file_that_is_not_safe_or_not_text_is_refused(
    tmp_path: Path, content: bytes | None, mode: int
) -> None:
    """The error names the file."""
    file = tmp_path / "secrets"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(SettingsInvalid, match=re.escape(str(file))):
        load_viewer_id_secrets(file)
