"""The errors that only an operator can get. `tokensvc.errors` has all errors."""

from __future__ import annotations

from tokensvc.error_base import TokensvcError


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
