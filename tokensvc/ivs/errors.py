"""The errors of Amazon IVS that callers distinguish, each as a class.

The refusals have the stable code `ivs_refused`. `aws_code` is the name of the error in IVS
(botocore model); some names have no "Exception" on the wire.
"""

from __future__ import annotations

from typing import ClassVar, Final

from tokensvc.errors import IvsRefused, IvsUnavailable

RESOURCE_NOT_FOUND: Final = "ResourceNotFoundException"
"""IVS's name for a resource that does not exist; as an error it is `NotFound`."""


class Throttled(IvsUnavailable):
    """Raised when IVS gets more calls from the account than it allows in a second (429)."""


class _NamedRefusal(IvsRefused):
    """A refusal whose name in IVS is known."""

    name_in_ivs: ClassVar[str]

    def __init__(self, detail: str, *, hint: str = "") -> None:
        super().__init__(detail, aws_code=self.name_in_ivs, hint=hint)


class AccessDenied(_NamedRefusal):
    """Raised when the IAM policy of the AWS credentials does not allow the action."""

    name_in_ivs = "AccessDeniedException"


class PendingVerification(_NamedRefusal):
    """Raised when AWS has not verified the account for Amazon IVS."""

    name_in_ivs = "PendingVerification"


class Conflict(_NamedRefusal):
    """Raised when IVS already has the same resource, or the resource is in use."""

    name_in_ivs = "ConflictException"


class QuotaExceeded(_NamedRefusal):
    """Raised when the quota of this kind of resource is used up in the region."""

    name_in_ivs = "ServiceQuotaExceededException"


class ChannelNotBroadcasting(_NamedRefusal):
    """Raised when the channel is offline."""

    name_in_ivs = "ChannelNotBroadcasting"


class InvalidParameters(_NamedRefusal):
    """Raised when boto3 did not send the request, because a value breaks IVS's service model."""

    name_in_ivs = "ParamValidation"


_NAMED: Final = (AccessDenied, PendingVerification, Conflict, QuotaExceeded, ChannelNotBroadcasting)
_CLASS_OF_NAME: Final = {named.name_in_ivs: named for named in _NAMED}


def refusal(detail: str, *, aws_code: str, hint: str = "") -> IvsRefused:
    """The error for a refusal with that name in IVS; a plain `IvsRefused` for any other name."""
    if named := _CLASS_OF_NAME.get(aws_code):
        return named(detail, hint=hint)
    return IvsRefused(detail, aws_code=aws_code, hint=hint)
