"""What every error has: a stable code, an HTTP status and text that is safe to show.

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
    """Base class of every error that this program raises on purpose.

    >>> from tokensvc import ChannelArn
    >>> from tokensvc.errors import TokensvcError
    >>> try:
    ...     ChannelArn.parse("channel/abcdEFGHijkl")
    ... except TokensvcError as refused:
    ...     print(refused.code, "-", refused.hint)
    invalid_arn - Use the form arn:aws:ivs:REGION:ACCOUNT:channel/ID.
    """

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
        audit_rule: str | None = None,
    ) -> None:
        """An error.

        Args:
            detail: what happened.
            hint: what to run or change next.
            problems: the faults in an input.
            retry_after_seconds: when a retry can succeed.
            audit_rule: the rule that refused, where the audit may say more than `problems`, which
                clients see.
        """
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.problems = problems
        self.audit_rule = audit_rule
        self.retry_after_seconds = retry_after_seconds or self.default_retry_after_seconds

    @property
    def rule(self) -> str | None:
        """The identifier of the rule that refused, for the audit; None if no single rule did."""
        return self.audit_rule or (self.problems[0].rule if self.problems else None)

    def __str__(self) -> str:
        return " ".join(part for part in (self.detail, self.hint) if part)
