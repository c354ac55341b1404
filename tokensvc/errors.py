"""The one error tree: every refusal has a stable code, an HTTP status and safe words.

`detail` says what is wrong, `way_out` what the reader can do about it. Neither ever carries a
token, a private key, a secret, or the text of another system's exception: `raise ... from` keeps
that for the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input: where, which rule, and a sentence for a person."""

    field: str
    rule: str
    message: str


class TokensvcError(Exception):
    """Base of everything this program refuses."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong inside the service"
    default_retry_after_seconds: ClassVar[int | None] = None

    def __init__(
        self,
        detail: str,
        *,
        way_out: str = "",
        problems: tuple[Problem, ...] = (),
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.way_out = way_out
        self.problems = problems
        self.retry_after_seconds = retry_after_seconds or self.default_retry_after_seconds

    def __str__(self) -> str:
        return " ".join(part for part in (self.detail, self.way_out) if part)


# --- What a caller of the API can be told


class InvalidRequest(TokensvcError):
    """Raised when a request breaks a rule; `problems` names every field and rule at once."""

    code = "invalid_request"
    http_status = 400
    title = "The request breaks a rule"


class Unauthenticated(TokensvcError):
    """Raised when the caller can't be told from a stranger."""

    code = "unauthenticated"
    http_status = 401
    title = "Who is asking?"


class NotEntitled(TokensvcError):
    """Raised when no grant of the caller covers the channel."""

    code = "not_entitled"
    http_status = 403
    title = "No grant covers this channel"


class NotPermitted(TokensvcError):
    """Raised when the caller lacks the scope that a route needs."""

    code = "not_permitted"
    http_status = 403
    title = "This caller may not do that"


class ChannelNotFound(TokensvcError):
    """Raised when IVS knows no such channel, or no channel of that name is configured."""

    code = "channel_not_found"
    http_status = 404
    title = "There is no such channel"


class NotFound(TokensvcError):
    """Raised when a route or a thing that it names does not exist."""

    code = "not_found"
    http_status = 404
    title = "There is nothing here"


class MethodNotAllowed(TokensvcError):
    """Raised when a route does not serve the method."""

    code = "method_not_allowed"
    http_status = 405
    title = "The route does not serve this method"


class ChannelNotPrivate(TokensvcError):
    """Raised when a token is asked for a channel that anyone may watch."""

    code = "channel_not_private"
    http_status = 409
    title = "The channel is public"


class BodyTooLarge(TokensvcError):
    """Raised when a request's body is larger than any that the service needs."""

    code = "body_too_large"
    http_status = 413
    title = "The body is too large"


class UnsupportedMediaType(TokensvcError):
    """Raised when a body is not JSON by its own Content-Type."""

    code = "unsupported_media_type"
    http_status = 415
    title = "The body must be JSON"


class Unavailable(TokensvcError):
    """Base of what passes by itself or by an operator's hand; always answered with Retry-After."""

    code = "overloaded"
    http_status = 503
    title = "The service can't answer just now"
    default_retry_after_seconds = 5


class NoSigningKey(Unavailable):
    """Raised when a region has no active key pair that this process can sign with."""

    code = "no_signing_key"
    title = "No key pair is active in this region"


class CustodyUnavailable(Unavailable):
    """Raised when the place that holds a private half does not answer."""

    code = "custody_unavailable"
    title = "The custody of the private keys does not answer"


class IvsUnavailable(Unavailable):
    """Raised when IVS fails, throttles or can't be reached, and no earlier answer may serve."""

    code = "ivs_unavailable"
    title = "Amazon IVS does not answer"


class StateUnavailable(Unavailable):
    """Raised when the shared state can't be read or written."""

    code = "state_unavailable"
    title = "The shared state does not answer"


# --- What an operator can be told


class SettingsInvalid(TokensvcError):
    """Raised at the start when settings are wrong; `problems` lists every one."""

    code = "settings_invalid"
    title = "The settings are wrong"


class InvalidArn(TokensvcError):
    """Raised when a text is not an ARN of the kind that is needed."""

    code = "invalid_arn"
    http_status = 400
    title = "That is not such an ARN"


class InvalidKeyMaterial(TokensvcError):
    """Raised when a text or file is not the P-384 key that is needed."""

    code = "invalid_key_material"
    title = "That is not a P-384 key"


class InvalidSignature(TokensvcError):
    """Raised when bytes are not a signature of the form that is needed, or don't verify."""

    code = "invalid_signature"
    title = "The signature does not hold"


class StateDamaged(TokensvcError):
    """Raised when the state holds what this program can't have written or can't read."""

    code = "state_damaged"
    title = "The state can't be read"


class StateConflict(TokensvcError):
    """Raised when another writer saved a document first (rule 7)."""

    code = "state_conflict"
    title = "Another process was faster"


class CustodyDamaged(TokensvcError):
    """Raised when a private half is missing, unreadable, or belongs to another public half."""

    code = "custody_damaged"
    title = "A private key is not what the record says"


class KeyNotFound(TokensvcError):
    """Raised when no key pair of the ring has that name."""

    code = "key_not_found"
    title = "There is no such key pair in this region"


class RotationRefused(TokensvcError):
    """Raised when the rules of rotation don't allow what was wished."""

    code = "rotation_refused"
    title = "The rules of rotation don't allow this now"


class IvsRefused(TokensvcError):
    """Raised when IVS answers with an error that waiting does not cure: `aws_code` is its name."""

    code = "ivs_refused"
    title = "Amazon IVS refused"

    def __init__(self, detail: str, *, aws_code: str, way_out: str = "") -> None:
        super().__init__(detail, way_out=way_out)
        self.aws_code = aws_code
