"""What a ring and its custody show by themselves, whether IVS answers or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tokensvc.clock import rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.keyring.doctor.finding import Case, Finding, FindingCode, Severity
from tokensvc.keyring.model import MOST_PAIRS_IN_IVS, KeyState
from tokensvc.keyring.rotation import drain_ends
from tokensvc.keyring.rotator import binding_refusal

_DAY_SECONDS = 86_400


def _binding(case: Case) -> Iterator[Finding]:
    if refusal := binding_refusal(case.ring, case.seen.binding):
        yield case.finding(
            Severity.SERIOUS,
            FindingCode.BINDING_MISMATCH,
            "",
            refusal,
            "Use the settings and the AWS environment that the ring was made with.",
        )


def _signing(case: Case) -> Iterator[Finding]:
    if case.seen.decommissioning:
        return  # Nothing is to sign there.
    if case.ring.active is None:
        yield case.finding(
            Severity.SERIOUS,
            FindingCode.NO_ACTIVE_KEY,
            "",
            f"No key pair is active in {case.region}: nothing is signed for it.",
            case.reconcile,
        )
    elif case.seen.keep_standby and case.ring.standby is None:
        yield case.finding(
            Severity.WARNING,
            FindingCode.NO_STANDBY,
            "",
            "There is no standby: in an emergency a key pair would have to be made first.",
            _when_a_slot_is_free(case) + case.reconcile,
        )


def _when_a_slot_is_free(case: Case) -> str:
    """The words before a reconcile that can make no standby yet; "" when it can."""
    ends = drain_ends(case.ring)
    if len(case.held) < MOST_PAIRS_IN_IVS or not ends:
        return ""
    ends_at, pair = ends[0]
    if ends_at <= case.seen.now:
        return ""
    until = f"until {pair.key_id} has drained, at {rfc3339(ends_at)}"
    return f"All slots of IVS are taken {until}. After that: "


def _stolen(case: Case) -> Iterator[Finding]:
    for pair in case.ring.pairs:
        if pair.is_compromised and pair.state is not KeyState.RETIRED:
            yield case.finding(
                Severity.SERIOUS,
                FindingCode.COMPROMISED_KEY_IN_IVS,
                pair.key_id,
                f"{pair.key_id} was declared stolen, and IVS has not confirmed that it is gone.",
                case.reconcile,
            )


def _age(case: Case) -> Iterator[Finding]:
    active, allowed = case.ring.active, case.seen.key_age_warning_seconds
    if active is None or active.activated_at is None:
        return
    if (age := case.seen.now - active.activated_at) > allowed:
        yield case.finding(
            Severity.WARNING,
            FindingCode.KEY_OLD,
            active.key_id,
            f"{active.key_id} has signed for {age / _DAY_SECONDS:.0f} days; "
            f"rotation.key_age_warning_days allows {allowed // _DAY_SECONDS}.",
            f"tokensvc keys rotate --region {case.region}",
        )


def _canary(case: Case) -> Iterator[Finding]:
    if not case.seen.has_canary and not case.seen.decommissioning:
        yield case.finding(
            Severity.NOTE,
            FindingCode.NO_CANARY,
            "",
            "No canary channel is set: whether IVS's edge takes a new key is not asked before it "
            "signs, only waited for.",
            f"Name a private channel of {case.region} in the setting rotation.canary_channels.",
        )


def _private_keys(case: Case) -> Iterator[Finding]:
    for key_id, error in case.seen.unusable.items():
        signs = case.ring.pair(key_id).state is KeyState.ACTIVE
        goes = "" if signs else f"No viewer notices if it goes: tokensvc keys revoke {key_id}\nOr: "
        yield case.finding(
            Severity.SERIOUS if signs else Severity.WARNING,
            FindingCode.PRIVATE_KEY_UNUSABLE,
            key_id,
            error.detail,
            goes + error.hint,
        )


def _restored_private_keys(case: Case) -> Iterator[Finding]:
    if isinstance(case.seen.custody_key_ids, TokensvcError):
        return
    for pair in case.ring.pairs:
        if pair.destroyed_on is not None and pair.key_id in case.seen.custody_key_ids:
            yield case.finding(
                Severity.WARNING,
                FindingCode.DESTROYED_KEY_RESTORED,
                pair.key_id,
                f"The private half of {pair.key_id} was destroyed on "
                f"{rfc3339(pair.destroyed_on)}, and custody has it again: a copy was restored.",
                "Remove it from the custody by hand.",
            )


CHECKS_OF_RING: tuple[Callable[[Case], Iterable[Finding]], ...] = (
    _binding,
    _signing,
    _stolen,
    _age,
    _canary,
    _private_keys,
    _restored_private_keys,
)
