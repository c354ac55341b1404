"""Replace secrets in texts from outside, before they reach a log or the audit."""

from __future__ import annotations

import re

_SECRETS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    # The first text, in lower case, is in every match: it is found faster than the pattern.
    # Every JWS header begins with `{"`, which is `eyJ` in base64url (RFC 7515 §7.1).
    ("eyj", re.compile(r"eyJ[\w-]*(?:\.[\w-]*)+"), "[redacted]"),
    ("token=", re.compile(r"(?i)(\btoken=)[^\s&\"'<>]+"), r"\1[redacted]"),
    ("bearer", re.compile(r"(?i)(\bbearer\s+)[^\s\"',]+"), r"\1[redacted]"),
    ("tsk_", re.compile(r"(?i)tsk_[\w-]+"), "tsk_[redacted]"),
    ("whsec_", re.compile(r"(?i)whsec_[\w+/=-]+"), "whsec_[redacted]"),
    # A stream key of IVS, and the usual text of a key-encryption secret.
    ("sk_", re.compile(r"\bsk_[a-z]{2}-[\w-]+"), "sk_[redacted]"),
    ("=", re.compile(r"(?<![\w+/-])[\w+/-]{43}=(?![\w=])", re.ASCII), "[redacted]"),
    (
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        "[redacted private key]",
    ),
)
# The secret of an API key without its prefix, such as in the path of a wrong request.
_HEX_SECRET = re.compile(r"[0-9A-Fa-f]{64,}")
_HEX_SECRET_LENGTH = 64


def redact(text: str) -> str:
    """Replace everything that looks like a token, an API key, a bearer token or a private key."""
    lowered = text.lower()
    for part, pattern, replacement in _SECRETS:
        if part in lowered:
            text = pattern.sub(replacement, text)
    return _HEX_SECRET.sub("[redacted]", text) if len(text) >= _HEX_SECRET_LENGTH else text
