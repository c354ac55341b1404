"""The error tree: every refusal has a stable code, an HTTP status and text that is safe to show.

`tokensvc.error_base` says what an error has. The classes here are those that a client of the HTTP
API can get; all others are imported, so that every error has one place to import it from.
"""

from __future__ import annotations

from tokensvc.error_base import Problem, TokensvcError
from tokensvc.operator_errors import (
    BackupRefused,
    CustodyDamaged,
    CustodyUnusable,
    InvalidArn,
    InvalidKeyMaterial,
    InvalidSignature,
    InvariantBroken,
    IvsRefused,
    KeyDestroyed,
    KeyNotFound,
    NotificationFailed,
    RotationRefused,
    SettingsInvalid,
    StateConflict,
    StateCopyRefused,
    StateDamaged,
)

__all__ = [  # What is imported here to be imported from here.
    "BackupRefused",
    "CustodyDamaged",
    "CustodyUnusable",
    "InvalidArn",
    "InvalidKeyMaterial",
    "InvalidSignature",
    "InvariantBroken",
    "IvsRefused",
    "KeyDestroyed",
    "KeyNotFound",
    "NotificationFailed",
    "Problem",
    "RotationRefused",
    "SettingsInvalid",
    "StateConflict",
    "StateCopyRefused",
    "StateDamaged",
    "TokensvcError",
]


class InvalidRequest(TokensvcError):
    """Raised when a request breaks a rule; `problems` lists every field and rule at once."""

    code = "invalid_request"
    http_status = 400
    title = "Invalid request"


class Unauthenticated(TokensvcError):
    """Raised when the request has neither a valid API key nor a valid token of an issuer."""

    code = "unauthenticated"
    http_status = 401
    title = "Authentication required"

    key_id: str | None = None
    """The ID of the API key, if its secret is right: it has expired, or is not confirmed since a
    restore. Clients never see it."""

    has_credentials: bool = False
    """Whether the request carried any: the challenge of the response then says `invalid_token`."""


class NotEntitled(TokensvcError):
    """Raised when no grant of the caller covers the request, or the entitlement hook refuses it."""

    code = "not_entitled"
    http_status = 403
    title = "Not entitled"


class CountryNotAllowed(TokensvcError):
    """Raised when a grant does not allow the country of the viewer, or it is not known."""

    code = "country_not_allowed"
    http_status = 403
    title = "Not available in this country"

    country: str | None = None
    """The country of the viewer, for the audit; None if it is not known."""


class NotPermitted(TokensvcError):
    """Raised when a caller does not have the scope that a route needs."""

    code = "not_permitted"
    http_status = 403
    title = "The caller lacks a scope"


class ViewerBanned(TokensvcError):
    """Raised when the viewer is banned, or the channel is closed for everyone."""

    code = "viewer_banned"
    http_status = 403
    title = "Banned"

    ban_id: str | None = None
    """The ID of the ban, for the audit. Clients never see it."""


class ViewerRevoked(TokensvcError):
    """Raised when the viewer's sessions were revoked so recently that a new one would be too."""

    code = "viewer_revoked"
    http_status = 403
    title = "Viewer sessions revoked"


class ChannelNotFound(TokensvcError):
    """Raised when IVS has no such channel, or no channel of that name is configured."""

    code = "channel_not_found"
    http_status = 404
    title = "Channel not found"


class NotFound(TokensvcError):
    """Raised when a route, or a resource that it names, does not exist."""

    code = "not_found"
    http_status = 404
    title = "Not found"


class MethodNotAllowed(TokensvcError):
    """Raised when a route does not support the HTTP method."""

    code = "method_not_allowed"
    http_status = 405
    title = "Method not allowed"


class ChannelNotPrivate(TokensvcError):
    """Raised when a token is requested for a public channel."""

    code = "channel_not_private"
    http_status = 409
    title = "The channel is public"


class BodyTooLarge(TokensvcError):
    """Raised when a request body exceeds the limit of its route."""

    code = "body_too_large"
    http_status = 413
    title = "Request body too large"


class UnsupportedMediaType(TokensvcError):
    """Raised when the Content-Type of a request body is not JSON."""

    code = "unsupported_media_type"
    http_status = 415
    title = "Unsupported media type"


class RateLimited(TokensvcError):
    """Raised when a client or a caller sends too many requests; the answer has Retry-After."""

    code = "rate_limited"
    http_status = 429
    title = "Too many requests"
    default_retry_after_seconds = 1


class RequestTimeout(TokensvcError):
    """Raised when a client does not send its whole request in time."""

    code = "request_timeout"
    http_status = 408
    title = "Request timeout"


class UriTooLong(TokensvcError):
    """Raised when a request line is longer than the server accepts."""

    code = "uri_too_long"
    http_status = 414
    title = "URI too long"


class HeadersTooLarge(TokensvcError):
    """Raised when header fields are too long or too many."""

    code = "headers_too_large"
    http_status = 431
    title = "Request headers too large"


class TransferCodingUnknown(TokensvcError):
    """Raised when the server does not support the transfer coding of a request."""

    code = "transfer_coding_unknown"
    http_status = 501
    title = "Transfer coding not supported"


class Unavailable(TokensvcError):
    """Base class of temporary failures; the HTTP answer always has Retry-After."""

    code = "overloaded"
    http_status = 503
    title = "Service overloaded"
    default_retry_after_seconds = 5


class NoSigningKey(Unavailable):
    """Raised when a region has no active key pair, or its active one is compromised."""

    code = "no_signing_key"
    title = "No signing key in this region"


class CustodyUnavailable(Unavailable):
    """Raised when the custody that stores a private key can't be reached."""

    code = "custody_unavailable"
    title = "Private key custody unavailable"


class CustodyDenied(CustodyUnavailable):
    """Raised when this process may not use a private key that is possibly good.

    So it is with a wrong key-encryption secret, a wrong file mode or a missing permission. The
    private key may only be given up when it is proven missing or wrong: see `CustodyDamaged`.
    """


class IvsUnavailable(Unavailable):
    """Raised when IVS fails, throttles or can't be reached, and no cached answer may be used."""

    code = "ivs_unavailable"
    title = "Amazon IVS unavailable"


class StateUnavailable(Unavailable):
    """Raised when the shared state can't be read or written."""

    code = "state_unavailable"
    title = "Shared state unavailable"


class StateMissing(StateUnavailable):
    """Raised when the shared state does not exist where the settings say."""


class StateRefused(StateUnavailable):
    """Raised when the shared state is there, and this process can't or must not use it.

    So it is with a missing permission, a table of another account, or one whose replicas could
    each accept the same save.
    """


class SecretsNotRecorded(StateRefused):
    """Raised when this process has other viewer ID secrets than the state records.

    It would not notice every ban, so it does not work with viewer IDs. Another replica may.
    """


class SchemaUnsupported(StateUnavailable):
    """Raised when a newer release of tokensvc wrote what this process reads from the state."""

    code = "schema_unsupported"
    title = "State of a newer release"


class IssuerUnavailable(Unavailable):
    """Raised when the keys of an identity provider can't be fetched, and none may be used."""

    code = "issuer_unavailable"
    title = "Identity provider unavailable"


class AuditUnavailable(Unavailable):
    """Raised when the audit log can't be written; no token is returned without its line."""

    code = "audit_unavailable"
    title = "Audit log unavailable"


class EntitlementUnavailable(Unavailable):
    """Raised when the entitlement hook gives no valid answer in time: nothing is granted then."""

    code = "entitlement_unavailable"
    title = "Entitlement hook unavailable"


class Draining(Unavailable):
    """Raised by the readiness check of a service that stops; it still answers other requests."""

    code = "draining"
    title = "Service stopping"


class ClockOff(Unavailable):
    """Raised when this machine's clock differs from AWS's by more than the allowed skew."""

    code = "clock_off"
    title = "The clock is off"
