"""The checks that need only the ring and its custody. They also run when IVS does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tokensvc.clock import rfc3339
from tokensvc.errors import CustodyUnavailable, TokensvcError
from tokensvc.ivs.limits import MAX_KEY_PAIRS
from tokensvc.keyring.binding import binding_refusal
from tokensvc.keyring.checks.checks_of_custody import CHECKS_OF_CUSTODY
from tokensvc.keyring.checks.checks_of_reports import reconcile_overdue
from tokensvc.keyring.checks.checks_of_terms import CHECKS_OF_TERMS
from tokensvc.keyring.checks.context import Context
from tokensvc.keyring.checks.finding import Finding, FindingCode, Severity
from tokensvc.keyring.checks.future_times import times_in_the_future
from tokensvc.keyring.drains import drain_ends
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.probes import workers_that_fail

_DAY_SECONDS = 86_400


def _binding(context: Context) -> Iterator[Finding]:
    if refusal := binding_refusal(context.ring, context.evidence.binding):
        yield context.finding(
            Severity.SERIOUS,
            FindingCode.BINDING_MISMATCH,
            "",
            refusal,
            "Use the settings and AWS environment that the ring was created with.",
        )


def _active_and_standby(context: Context) -> Iterator[Finding]:
    if context.evidence.decommissioning:
        return  # A region that is being removed needs neither.
    if context.ring.active is None:
        yield context.finding(
            Severity.SERIOUS,
            FindingCode.NO_ACTIVE_KEY,
            "",
            f"No key pair is active in {context.region}, so no tokens can be signed for it.",
            f"Run `{context.reconcile_command}`.",
        )
    elif context.ring.active.is_compromised:
        return  # `_compromised_keys` reports it.
    elif context.evidence.keep_standby and context.ring.standby is None:
        yield context.finding(
            Severity.WARNING,
            FindingCode.NO_STANDBY,
            "",
            "There is no standby key. In an emergency, a new key pair would have to be made first.",
            _standby_hint(context),
        )


def _standby_hint(context: Context) -> str:
    """When to run `keys reconcile`: it can make no standby while all slots are occupied."""
    command = f"`{context.reconcile_command}`"
    ends = drain_ends(context.ring)
    if len(context.held) >= MAX_KEY_PAIRS and ends:
        ends_at, pair = ends[0]
        if ends_at > context.evidence.now:
            return (
                f"Wait until {rfc3339(ends_at)}. All {MAX_KEY_PAIRS} slots in IVS are occupied "
                f"until {pair.key_id} has drained. Then run {command}."
            )
    return f"Run {command}."


def _compromised_keys(context: Context) -> Iterator[Finding]:
    for pair in context.ring.pairs:
        if pair.is_compromised and pair.state is not KeyState.RETIRED:
            no_token = (
                f" No other key pair has taken over, so no tokens can be signed for "
                f"{context.region}."
                if pair.state is KeyState.ACTIVE
                else ""
            )
            yield context.finding(
                Severity.SERIOUS,
                FindingCode.COMPROMISED_KEY_IN_IVS,
                pair.key_id,
                f"{pair.key_id} was marked compromised, and IVS has not confirmed its deletion."
                f"{no_token}",
                f"Run `{context.reconcile_command}`.",
            )


def _key_age(context: Context) -> Iterator[Finding]:
    active, allowed = context.ring.active, context.evidence.key_age_warning_seconds
    if active is None or active.is_compromised or active.activated_at is None:
        return
    if (age := context.evidence.now - active.activated_at) > allowed:
        yield context.finding(
            Severity.WARNING,
            FindingCode.KEY_OLD,
            active.key_id,
            f"{active.key_id} has signed for {age / _DAY_SECONDS:.0f} days. The limit is "
            f"{allowed // _DAY_SECONDS} days (rotation.key_age_warning_days).",
            f"Run `tokensvc keys rotate --region {context.region}`.",
        )


def _canary(context: Context) -> Iterator[Finding]:
    if not context.evidence.has_canary and not context.evidence.decommissioning:
        yield context.finding(
            Severity.NOTE,
            FindingCode.NO_CANARY,
            "",
            f"No canary channel is configured for {context.region}. Before a switch, tokensvc only "
            "waits for the publish delay. It does not check that IVS's edge accepts the new key.",
            f"Add a private channel of {context.region} to the setting rotation.canary_channels.",
        )


def _unusable_private_keys(context: Context) -> Iterator[Finding]:
    active_id = context.ring.active.key_id if context.ring.active else None
    for key_ids, error in _grouped_by_cause(context.evidence.unusable, first=active_id):
        key_id, *others = key_ids
        is_active = key_id == active_id
        revoke = f"Run `tokensvc keys revoke {key_id}`: tokensvc has signed no token with this key."
        # A key that is only denied, such as by the mode of its file, is good again in a moment.
        keeps_key = is_active or isinstance(error, CustodyUnavailable)
        yield context.finding(
            Severity.SERIOUS if is_active else Severity.WARNING,
            FindingCode.PRIVATE_KEY_UNUSABLE,
            key_id,
            f"{error.detail} The same is true for {', '.join(others)}." if others else error.detail,
            error.hint if keeps_key else f"{revoke}\nOr: {error.hint}",
        )


def _grouped_by_cause(
    unusable: Mapping[str, TokensvcError], *, first: str | None
) -> Iterable[tuple[Sequence[str], TokensvcError]]:
    """The key IDs that have an error from the same cause, with the error of the first of them.

    The key `first` comes first. A damaged or missing private key is a cause of its own. What denies
    the use of several has the same hint, such as to set another key-encryption secret.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for key_id in sorted(unusable, key=lambda key_id: key_id != first):
        error = unusable[key_id]
        own = "" if isinstance(error, CustodyUnavailable) else key_id
        groups.setdefault((error.hint, own), []).append(key_id)
    return [(key_ids, unusable[key_ids[0]]) for key_ids in groups.values()]


def _failed_probes(context: Context) -> Iterator[Finding]:
    for pair in context.ring.pairs:
        failed = [one for one in context.evidence.failed_probes if one.key_id == pair.key_id]
        if failed and pair.state is not KeyState.RETIRED:
            is_active = pair.state is KeyState.ACTIVE
            yield context.finding(
                Severity.SERIOUS if is_active else Severity.WARNING,
                FindingCode.PROBE_FAILED,
                pair.key_id,
                workers_that_fail(failed),
                "Make the private key usable there: the custody, its access and its secret must be "
                "the same for every worker.",
            )


def _restored_private_keys(context: Context) -> Iterator[Finding]:
    if isinstance(context.evidence.custody_key_ids, TokensvcError):
        return
    for pair in context.ring.pairs:
        if pair.destroyed_on is not None and pair.key_id in context.evidence.custody_key_ids:
            yield context.finding(
                Severity.WARNING,
                FindingCode.DESTROYED_KEY_RESTORED,
                pair.key_id,
                f"The private key of {pair.key_id} was destroyed on "
                f"{rfc3339(pair.destroyed_on)}, but custody has it again: a copy was restored.",
                f"Delete the private key of {pair.key_id} from the custody manually.",
            )


CHECKS_OF_RING: tuple[Callable[[Context], Iterable[Finding]], ...] = (
    _binding,
    _active_and_standby,
    _compromised_keys,
    _key_age,
    times_in_the_future,
    _canary,
    _unusable_private_keys,
    _failed_probes,
    _restored_private_keys,
    reconcile_overdue,
    *CHECKS_OF_TERMS,
    *CHECKS_OF_CUSTODY,
)
