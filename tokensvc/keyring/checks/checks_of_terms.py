"""The checks of a ring's limits, of its pause of scheduled rotation, and of its restore."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from tokensvc.clock import rfc3339
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.drains import former_terms_in_force, restore_drain_end
from tokensvc.keyring.terms import MAX_TERM_SECONDS


def _terms_above_settings(context: Context) -> Iterator[Finding]:
    above = context.ring.terms.above(context.evidence.terms)
    if not above:
        return
    limits = " ".join(
        f"{name} is {in_ring} in the ring and {in_settings} in these settings."
        for name, (in_ring, in_settings) in above.items()
    )
    # No setting is that high: an earlier release took such a value from `keys adopt`.
    is_a_mistake = any(in_ring > MAX_TERM_SECONDS for in_ring, _ in above.values())
    yield context.finding(
        Severity.WARNING if is_a_mistake else Severity.NOTE,
        FindingCode.TERMS_ABOVE_SETTINGS,
        "",
        f"{limits} Every process keeps to the ring.",
        "If no host has higher settings, lower the limits: "
        f"`tokensvc keys terms --lower --region {context.region}`.",
    )


def _former_terms(context: Context) -> Iterator[Finding]:
    for former in former_terms_in_force(context.ring, context.evidence.now):
        yield context.finding(
            Severity.NOTE,
            FindingCode.FORMER_TERMS,
            "",
            former.sentence,
            "Nothing needs to be done."
            if former.until is not None
            else f"Run `{context.reconcile_command}` to record the end.",
        )


def _rotation_paused(context: Context) -> Iterator[Finding]:
    if (pause := context.ring.rotation_pause) is not None:
        yield context.finding(
            Severity.NOTE,
            FindingCode.ROTATION_PAUSED,
            "",
            f"Scheduled rotation is paused since {rfc3339(pause.since)}, when {pause.by} rolled "
            f"back ({pause.reason}).",
            f"Run `tokensvc keys rotate --region {context.region}` when the next key may sign.",
        )


def _restored(context: Context) -> Iterator[Finding]:
    restoration = context.ring.restoration
    if restoration is None:
        return
    ends = [restore_drain_end(context.ring, pair) for pair in context.ring.pairs]
    if not ends or context.evidence.now >= (end := max(ends)):
        return
    until = "the time of the restore is recorded" if math.isinf(end) else rfc3339(end)
    yield context.finding(
        Severity.NOTE,
        FindingCode.RESTORED,
        "",
        f"{restoration.sentence} Nothing that may have signed meanwhile is deleted until {until}.",
        f"Run `{context.reconcile_command}` to record the time."
        if math.isinf(end)
        else "Nothing needs to be done.",
    )


CHECKS_OF_TERMS: tuple[Callable[[Context], Iterable[Finding]], ...] = (
    _terms_above_settings,
    _former_terms,
    _rotation_paused,
    _restored,
)
