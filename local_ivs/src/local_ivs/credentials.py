"""The caller: the region and account in a request's AWS Signature Version 4 credential scope.

Signatures are not verified: Local IVS is a loopback tool and holds no secrets. An access key ID of
exactly twelve digits is the account ID. Any other access key ID means account 123456789012.
"""

from __future__ import annotations

import re

from local_ivs.calls import Caller
from local_ivs.errors import MissingAuthenticationTokenError

DEFAULT_ACCOUNT_ID = "123456789012"
_CREDENTIAL = re.compile(
    r"AWS4-HMAC-SHA256\s+(?:.*,\s*)?"
    r"Credential=(?P<access_key_id>[^/,\s]+)/\d{8}/(?P<region>[a-z0-9-]+)/ivs/aws4_request"
    r"\s*(?:,.*|$)"
)
_ACCOUNT_ID = re.compile(r"[0-9]{12}")


def read_caller(authorization: str | None) -> Caller:
    """The caller that an `Authorization` header names.

    Raises:
        MissingAuthenticationTokenError: the header is missing, or isn't Signature Version 4 for
            the service `ivs`.
    """
    match = _CREDENTIAL.match(authorization or "")
    if match is None or "Signature=" not in (authorization or ""):
        raise MissingAuthenticationTokenError(
            "Missing Authentication Token: sign the request with AWS Signature Version 4 for the "
            "service ivs. Any credentials work. The region is read from the credential scope; an "
            "access key ID of twelve digits is the account ID."
        )
    access_key_id = match["access_key_id"]
    account_id = access_key_id if _ACCOUNT_ID.fullmatch(access_key_id) else DEFAULT_ACCOUNT_ID
    return Caller(region=match["region"], account_id=account_id)
