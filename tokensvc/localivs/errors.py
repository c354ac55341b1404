"""Everything that Local IVS refuses or fails with: one tree.

Three branches are answers: `ApiError` of the IVS API (an AWS error name and its HTTP status),
`ControlError` of the `/_local/` control API, and `edge.refusals.PlaybackRefusedError` of the
playback edge. `ConfigError` and `DatabaseUnusableError` tell the person who runs Local IVS what is
wrong with its settings or its file; the others are caught within.
"""

from __future__ import annotations


class LocalIvsError(Exception):
    """The root: Local IVS can't do what was asked; the message says what to do next."""


class ConfigError(LocalIvsError):
    """A setting is missing or makes no sense."""


class DatabaseUnusableError(LocalIvsError):
    """The state file is damaged, belongs to another program, or can't be opened."""


class ChannelUnknownError(LocalIvsError):
    """The playback edge was asked for a channel that doesn't exist."""


class AnswerLostError(LocalIvsError):
    """The connection is to be closed without an answer: a fault that was planned."""


class ControlError(LocalIvsError):
    """A request to `/_local/` is wrong; answered with `http_status` and the message."""

    def __init__(self, message: str, http_status: int = 400) -> None:
        super().__init__(message)
        self.http_status = http_status


class ApiError(LocalIvsError):
    """An error of the IVS API: `error_type` and `http_status` as AWS's service model has them."""

    error_type = "InternalServerException"
    http_status = 500


class AccessDeniedError(ApiError):
    """The caller may not do this; Local IVS answers it only as a fault on request."""

    error_type = "AccessDeniedException"
    http_status = 403


class PendingVerificationError(ApiError):
    """The account isn't cleared for IVS; Local IVS answers it only as a fault on request."""

    # The wire name has no "Exception" at its end, in the model and on AWS.
    error_type = "PendingVerification"
    http_status = 403


class ValidationError(ApiError):
    """A member of the request breaks a constraint of the model or a documented rule."""

    error_type = "ValidationException"
    http_status = 400


class ServiceQuotaExceededError(ApiError):
    """The account has as many of these as IVS allows."""

    error_type = "ServiceQuotaExceededException"
    http_status = 402


class ResourceNotFoundError(ApiError):
    """No such resource in this account and region."""

    error_type = "ResourceNotFoundException"
    http_status = 404


class ChannelNotBroadcastingError(ApiError):
    """The channel exists but isn't live."""

    error_type = "ChannelNotBroadcasting"
    http_status = 404


class ConflictError(ApiError):
    """The request contradicts the state of the resource."""

    error_type = "ConflictException"
    http_status = 409


class ThrottlingError(ApiError):
    """More requests a second than IVS documents for this operation."""

    error_type = "ThrottlingException"
    http_status = 429


class ServiceUnavailableError(ApiError):
    """IVS is down; Local IVS answers it only as a fault on request."""

    error_type = "ServiceUnavailable"
    http_status = 503


class StreamUnavailableError(ApiError):
    """The stream can't be stopped now; Local IVS answers it only as a fault on request."""

    error_type = "StreamUnavailable"
    http_status = 503


class FrontDoorError(ApiError):
    """An error that AWS's front end gives before the service is asked: not in the service model."""


class SerializationError(FrontDoorError):
    """The body isn't JSON, or a member has the wrong JSON type (restJson1 protocol)."""

    error_type = "SerializationException"
    http_status = 400


class MissingAuthenticationTokenError(FrontDoorError):
    """The request carries no usable AWS Signature Version 4 `Authorization` header."""

    error_type = "MissingAuthenticationTokenException"
    http_status = 403


class UnknownOperationError(FrontDoorError):
    """The method and path are no operation of Amazon IVS."""

    error_type = "UnknownOperationException"
    http_status = 404


class RequestTooLargeError(FrontDoorError):
    """The body is larger than Local IVS reads."""

    error_type = "RequestEntityTooLargeException"
    http_status = 413


class OperationNotServedError(FrontDoorError):
    """An operation of Amazon IVS that Local IVS doesn't imitate."""

    error_type = "NotImplementedException"
    http_status = 501
