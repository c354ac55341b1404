"""Viewer IDs of callers who sign in with a token of an identity provider.

A viewer ID is in playback tokens and logs, so it must not contain personal data (IVS: tokens), and
the subject of an identity provider may be an e-mail address. So it is a keyed hash of issuer and
subject: only with the viewer ID secret can one compute it, or find out whose it is.

Several secrets may be configured, so that one can be changed. The first one makes the viewer IDs of
new tokens. Bans are matched under each of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tokensvc.errors import SettingsInvalid
from tokensvc.secret_text import is_random, read_secret_text, secret_bytes

MIN_SECRET_BYTES: Final = 32
MAX_SECRETS: Final = 8
"""Each costs a hash at each sign-in, and a ban for each one is stored."""

_DIGEST_BYTES: Final = 30
"""40 characters of base64url without padding: IVS allows 40 (IVS: aws:viewer-id)."""
_FINGERPRINT_OF: Final = b"tokensvc viewer ID secret"
_FINGERPRINT_DIGITS: Final = 32
_GENERATE: Final = "Generate one with `openssl rand -base64 32`."


class ViewerIds:
    """Computes viewer IDs under each viewer ID secret."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        """Viewer IDs under these secrets, the current one first, of 32 random bytes or more."""
        self._secrets = tuple(secrets)
        self.fingerprints = tuple(_fingerprint(secret) for secret in secrets)
        """The fingerprint of each secret: equal for equal secrets, and of no other use."""

    def of(self, issuer: str, subject: str) -> tuple[str, ...]:
        """The viewer IDs of that subject, 40 characters each: under each secret, the current first.

        base64url, without padding, of the first 30 bytes of HMAC-SHA-256 under the secret, over the
        JSON array of the two texts in UTF-8 without blanks and without needless escapes.
        """
        pair = json.dumps([issuer, subject], ensure_ascii=False, separators=(",", ":"))
        # Text from a command line may have unpaired surrogates. Each pair keeps bytes of its own.
        message = pair.encode(errors="surrogatepass")
        return tuple(_viewer_id(secret, message) for secret in self._secrets)


def load_viewer_id_secrets(source: Path | str) -> Sequence[bytes]:
    """The secrets from a file (a `Path`) or from the value of an environment variable (a `str`).

    They are separated by white space or commas, the current one first. The file may be a symbolic
    link, as Kubernetes mounts secrets.

    Raises:
        SettingsInvalid: when there is none, one is not 32 random bytes or more in base64 or hex,
            one is repeated, there are more than `MAX_SECRETS`, or the file can't be read or can be
            read by other users.
    """
    text, where = read_secret_text(
        source,
        name="viewer ID secret",
        setting="viewer_ids.secret_file",
        hint=f"Write it as base64 or hex. {_GENERATE}",
    )
    secrets = [_secret(each, where) for each in re.split(r"[\s,]+", text) if each]
    if not secrets:
        raise SettingsInvalid(f"There is no viewer ID secret {where}.", hint=_GENERATE)
    if len(secrets) != len(set(secrets)):
        raise SettingsInvalid(
            f"A viewer ID secret {where} is repeated.", hint="Write each secret once."
        )
    if len(secrets) > MAX_SECRETS:
        raise SettingsInvalid(
            f"There are {len(secrets)} viewer ID secrets {where}, but at most {MAX_SECRETS} are"
            " allowed.",
            hint="Remove the last ones, if no ban of a viewer ID under them is in force.",
        )
    return secrets


def _secret(text: str, where: str) -> bytes:
    """The bytes of a secret. No message repeats the text."""
    try:
        secret = secret_bytes(text.strip("\"'"))
    except ValueError as exc:
        raise SettingsInvalid(
            f"A viewer ID secret {where} is neither base64 nor hex.", hint=_GENERATE
        ) from exc
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsInvalid(
            f"A viewer ID secret {where} has {len(secret)} bytes. It must have"
            f" {MIN_SECRET_BYTES} or more.",
            hint=_GENERATE,
        )
    if not is_random(secret):
        raise SettingsInvalid(
            f"A viewer ID secret {where} is not random: its {len(secret)} bytes have only"
            f" {len(set(secret))} different values.",
            hint=_GENERATE,
        )
    return secret


def _viewer_id(secret: bytes, message: bytes) -> str:
    digest = hmac.digest(secret, message, hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:_DIGEST_BYTES]).decode()


def _fingerprint(secret: bytes) -> str:
    return hmac.digest(secret, _FINGERPRINT_OF, hashlib.sha256).hex()[:_FINGERPRINT_DIGITS]
