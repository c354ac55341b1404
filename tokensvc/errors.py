"""The error tree: every refusal has a stable code, an HTTP status and text that is safe to show.

`detail` says what happened, `hint` what to run or change next. Neither ever contains a token, a
private key, a secret, or the text of another system's exception: `raise ... from` keeps that text
for the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in an input.

    Attributes:
        field: where the fault is.
        rule: the identifier of the rule that is broken.
        message: the fault as a sentence for a person.
    """

    field: str
    rule: str
    message: str

    def members(self) -> dict[str, str]:
        """The members that programs see."""
        return {"field": self.field, "rule": self.rule, "message": self.message}


class TokensvcError(Exception):
    """Base class of every error that this program raises on purpose."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_retry_after_seconds: ClassVar[int | None] = None

    def __init__(
        self,
        detail: str,
        *,
        hint: str = "",
        problems: tuple[Problem, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.problems = problems
        self.retry_after_seconds = retry_after_seconds or self.default_retry_after_seconds

    def __str__(self) -> str:
        return " ".join(part for part in (self.detail, self.hint) if part)


# --- Errors that a client of the HTTP API can get


class InvalidRequest(TokensvcError):
    """Raised when a request breaks a rule; `problems` lists every field and rule at once."""

    code = "invalid_request"
    http_status = 400
    title = "Invalid request"


class Unauthenticated(TokensvcError):
    """Raised when the request has no valid API key."""

    code = "unauthenticated"
    http_status = 401
    title = "Authentication required"

    key_id: str | None = None
    """The ID of the API key, if its secret is right: it has expired, or is not confirmed since a
    restore. Clients never see it."""


class NotEntitled(TokensvcError):
    """Raised when no grant of the caller covers the channel."""

    code = "not_entitled"
    http_status = 403
    title = "No grant covers this channel"


class NotPermitted(TokensvcError):
    """Raised when a caller does not have the scope that a route needs."""

    code = "not_permitted"
    http_status = 403
    title = "The caller lacks a scope"


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


class SchemaUnsupported(StateUnavailable):
    """Raised when a newer release of tokensvc wrote what this process reads from the state."""

    code = "schema_unsupported"
    title = "State of a newer release"


class AuditUnavailable(Unavailable):
    """Raised when the audit log can't be written; no token is returned without its line."""

    code = "audit_unavailable"
    title = "Audit log unavailable"


class Draining(Unavailable):
    """Raised by the readiness check of a service that stops; it still answers other requests."""

    code = "draining"
    title = "Service stopping"


class ClockOff(Unavailable):
    """Raised when this machine's clock differs from AWS's by more than the allowed skew."""

    code = "clock_off"
    title = "The clock is off"


# --- Errors that only an operator can get


class SettingsInvalid(TokensvcError):
    """Raised at startup when settings are wrong; `problems` lists every one."""

    code = "settings_invalid"
    title = "Invalid settings"


class InvalidArn(TokensvcError):
    """Raised when a text is not an ARN of the kind that is needed."""

    code = "invalid_arn"
    http_status = 400
    title = "Invalid ARN"


class InvalidKeyMaterial(TokensvcError):
    """Raised when a text or file is not the P-384 key that is needed."""

    code = "invalid_key_material"
    title = "Invalid P-384 key"


class InvalidSignature(TokensvcError):
    """Raised when a signature has the wrong form or does not verify."""

    code = "invalid_signature"
    title = "Invalid signature"


class StateDamaged(TokensvcError):
    """Raised when a stored document can't be read, or holds what this program never writes."""

    code = "state_damaged"
    title = "Stored state damaged"


class BackupRefused(TokensvcError):
    """Raised when a backup can't be written or restored. Nothing was changed."""

    code = "backup_refused"
    title = "Backup refused"


class StateCopyRefused(TokensvcError):
    """Raised when the state can't be copied from there, or to there. Nothing was changed."""

    code = "state_copy_refused"
    title = "Copy of the state refused"


class StateConflict(TokensvcError):
    """Raised when another writer saved a document first (rule 7)."""

    code = "state_conflict"
    title = "Another process saved first"


class InvariantBroken(TokensvcError):
    """Raised when a change would break an invariant: a bug in tokensvc. Nothing was written."""

    code = "invariant_broken"
    title = "A change would break an invariant"


class CustodyDamaged(TokensvcError):
    """Raised when a private key is missing, unreadable, or does not match its public key."""

    code = "custody_damaged"
    title = "Private key damaged"


class CustodyUnusable(CustodyDamaged):
    """Raised when the custody has a private key and refuses to sign with it until it is enabled."""

    code = "custody_unusable"
    title = "Private key disabled"


class KeyDestroyed(CustodyDamaged):
    """Raised when a private key was destroyed on purpose: its ID is never used again."""

    code = "key_destroyed"
    title = "Private key destroyed"


class KeyNotFound(TokensvcError):
    """Raised when the ring has no key pair with that ID."""

    code = "key_not_found"
    title = "Key pair not found"


class RotationRefused(TokensvcError):
    """Raised when the rules of rotation don't allow what was requested."""

    code = "rotation_refused"
    title = "Not allowed by the rules of rotation"


class NotificationFailed(TokensvcError):
    """Raised when the receiver of notifications did not accept one. It is sent again later.

    `is_temporary` says whether another attempt in a few seconds may succeed.
    """

    code = "notification_failed"
    title = "Notification not accepted"

    def __init__(self, detail: str, *, hint: str, is_temporary: bool) -> None:
        super().__init__(detail, hint=hint)
        self.is_temporary = is_temporary


class IvsRefused(TokensvcError):
    """Raised when IVS answers with an error that a retry does not fix.

    `aws_code` is the name of the error in IVS, for people. Refusals that callers distinguish have
    a class of their own in `tokensvc.ivs.errors`.
    """

    code = "ivs_refused"
    title = "Refused by Amazon IVS"

    def __init__(self, detail: str, *, aws_code: str, hint: str = "") -> None:
        super().__init__(detail, hint=hint)
        self.aws_code = aws_code
