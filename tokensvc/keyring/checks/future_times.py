"""The check of times in the ring that are in the future: a host whose clock was ahead wrote them.

Only times on which a later step rests are reported. A time that is wrongly in the past looks like a
right one, which is why none is recorded by a wrong clock.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokensvc.aws_dates import clock_off
from tokensvc.clock import rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.model import KeyPair, KeyState


def times_in_the_future(context: Context) -> Iterator[Finding]:
    """A finding for each key pair whose next step waits for a time that can't be right yet."""
    evidence = context.evidence
    if _is_clock_off(context):
        return  # That is another finding, and makes right times look wrong.
    for pair in context.ring.pairs:
        what, at, hint = _time_that_counts(pair)
        if at is None or pair.is_compromised:
            continue  # The removal of a compromised key rests on no time.
        if at > evidence.now + evidence.clock_skew_seconds:
            yield context.finding(
                Severity.WARNING,
                FindingCode.TIME_IN_FUTURE,
                pair.key_id,
                f"The ring records that {pair.key_id} {what} at {rfc3339(at)}, which is "
                f"{at - evidence.now:.0f} s from now: the clock of the host that recorded it was "
                "ahead.",
                hint,
            )


def _is_clock_off(context: Context) -> bool:
    offset_seconds = context.evidence.clock_offset_seconds
    if isinstance(offset_seconds, TokensvcError):
        return False
    return clock_off(offset_seconds, context.evidence.clock_skew_seconds) is not None


def _time_that_counts(pair: KeyPair) -> tuple[str, float | None, str]:
    """What happened at the time on which the pair's next step rests, that time, and a hint."""
    match pair.state:
        case KeyState.PUBLISHED:
            hint = (
                "No rotation switches to it before that time. To replace it now, run "
                f"`tokensvc keys revoke {pair.key_id}`: it has signed no token."
            )
            return "was imported", pair.published_at, hint
        case KeyState.ACTIVE:
            hint = (
                "Scheduled rotations count its age from that time. Run `tokensvc keys rotate` if "
                "it should be replaced earlier."
            )
            return "began to sign", pair.activated_at, hint
        case KeyState.RETIRING:
            hint = (
                "Its drain begins at that time, and until its end it occupies a slot in IVS. To "
                f"delete it now, run `tokensvc keys revoke {pair.key_id}`: IVS then refuses the "
                "tokens that it signed."
            )
            return "ceased to sign", pair.signing_ended_at, hint
        case _:
            return "", None, ""
