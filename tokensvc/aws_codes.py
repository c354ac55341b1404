"""Error codes that any service of AWS may answer with, in the spellings that are known."""

from __future__ import annotations

import re
from typing import Final

THROTTLING: Final = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
"""Too many calls. A service may have further ones of its own, and HTTP 429 says the same."""

CREDENTIALS_REJECTED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""The credentials or the signature are not valid, or this machine's clock is off."""

PRINCIPAL: Final = re.compile(r"^User: (arn:aws[a-z-]*:[a-z]+::[0-9]{12}:[\w+=,.@/-]+) is not")
"""Who was refused, in the text of AWS, of which nothing else is repeated."""
