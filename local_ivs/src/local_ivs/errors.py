"""The exceptions of Local IVS, in one hierarchy.

Three branches become HTTP responses: `ApiError` of the IVS API (an AWS error name and its HTTP
status), `ControlError` of the `/_local/` control API, and `edge.refusals.PlaybackRefusedError` of
the playback edge. `ConfigError`, `PortUnusableError` and `DatabaseUnusableError` are for the person
who runs Local IVS: they report a problem with its settings, its port or its state file. The others
are caught inside Local IVS.
"""

from __future__ import annotations


class LocalIvsError(Exception):
    """The base class; the message says what happened and what to do next."""


class ConfigError(LocalIvsError):
    """A setting is missing or invalid."""


class PortUnusableError(LocalIvsError):
    """Another program uses the port."""


class DatabaseUnusableError(LocalIvsError):
    """The state file is damaged, belongs to another program, or can't be opened."""


class ChannelUnknownError(LocalIvsError):
    """A playback URL names a channel that doesn't exist."""


class NoResponseError(LocalIvsError):
    """A planned fault: the connection must be closed without a response."""


class ControlError(LocalIvsError):
    """A request to `/_local/` is invalid; the response has `http_status` and the message."""

    def __init__(self, message: str, http_status: int = 400) -> None:
        super().__init__(message)
        self.http_status = http_status


class ApiError(LocalIvsError):
    """An error of the IVS API, with the `error_type` and `http_status` of AWS's service model."""

    error_type = "InternalServerException"
    http_status = 500


class AccessDeniedError(ApiError):
    """The caller isn't allowed to do this: a planned fault, or a host name that a page may have."""

    error_type = "AccessDeniedException"
    http_status = 403


class PendingVerificationError(ApiError):
    """AWS is still verifying the account. Local IVS returns it only as a planned fault."""

    # The name has no suffix "Exception", neither in the model nor on AWS.
    error_type = "PendingVerification"
    http_status = 403


class ValidationError(ApiError):
    """A member of the request violates a constraint of the model or a documented rule."""

    error_type = "ValidationException"
    http_status = 400


class ServiceQuotaExceededError(ApiError):
    """The account already has as many of these resources as IVS allows."""

    error_type = "ServiceQuotaExceededException"
    http_status = 402


class ResourceNotFoundError(ApiError):
    """The resource doesn't exist in this account and region."""

    error_type = "ResourceNotFoundException"
    http_status = 404


class ChannelNotBroadcastingError(ApiError):
    """The channel exists but isn't live."""

    error_type = "ChannelNotBroadcasting"
    http_status = 404


class ConflictError(ApiError):
    """The request conflicts with the state of the resource."""

    error_type = "ConflictException"
    http_status = 409


class ThrottlingError(ApiError):
    """More requests per second than IVS documents for this operation."""

    error_type = "ThrottlingException"
    http_status = 429


class ServiceUnavailableError(ApiError):
    """IVS is unavailable. Local IVS returns it only as a planned fault."""

    error_type = "ServiceUnavailable"
    http_status = 503


class StreamUnavailableError(ApiError):
    """The stream can't be stopped now. Local IVS returns it only as a planned fault."""

    error_type = "StreamUnavailable"
    http_status = 503


class UnmodeledError(ApiError):
    """An error that AWS returns before the request reaches IVS; it isn't in the service model."""


class SerializationError(UnmodeledError):
    """The body isn't JSON, or a member has the wrong JSON type (restJson1 protocol)."""

    error_type = "SerializationException"
    http_status = 400


class MissingAuthenticationTokenError(UnmodeledError):
    """The request carries no usable AWS Signature Version 4 `Authorization` header."""

    error_type = "MissingAuthenticationTokenException"
    http_status = 403


class UnknownOperationError(UnmodeledError):
    """The method and path don't match any operation of Amazon IVS."""

    error_type = "UnknownOperationException"
    http_status = 404


class RequestTooLargeError(UnmodeledError):
    """The body is larger than the largest that Local IVS reads."""

    error_type = "RequestEntityTooLargeException"
    http_status = 413


class OperationNotServedError(UnmodeledError):
    """An operation of Amazon IVS that Local IVS doesn't implement."""

    error_type = "NotImplementedException"
    http_status = 501
