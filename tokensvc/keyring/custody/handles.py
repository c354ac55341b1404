"""The kind of custody that a handle is of, and the loading of signers from more than one."""

from __future__ import annotations

from collections.abc import Mapping

from tokensvc.errors import CustodyDenied
from tokensvc.keyring.signers import SignerLoader, StoredKey
from tokensvc.token.p384 import Signer


def scheme_of(handle: str | None) -> str:
    """The scheme of the custody that a private key with this handle is in.

    Files have no handles. Those of AWS begin with an ARN, which names the service.
    """
    if handle is None:
        return "file"
    return handle.split(":", 3)[2] if handle.startswith("arn:") else "unknown"


class SignersByHandle:
    """Implements `SignerLoader` with a loader for each scheme of a custody."""

    def __init__(self, loaders: Mapping[str, SignerLoader]) -> None:
        self._loaders = loaders

    def signer(self, key: StoredKey) -> Signer:
        """A signer of that private key, from the custody that its handle is of.

        Raises:
            CustodyDenied: when it is in none of the custodies of the settings.
            CustodyUnavailable, CustodyDamaged: the errors of that custody.
        """
        scheme = scheme_of(key.handle)
        if scheme not in self._loaders:
            raise CustodyDenied(
                f"The private key of {key.key_id} is in a {scheme}: custody, which the settings"
                " don't name.",
                hint="Set custody.former_url to the custody in which this key pair was made.",
            )
        return self._loaders[scheme].signer(key)
