"""What was seen during a run, and the numbers that describe one scenario of it.

Times are seconds of the monotonic clock of the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

GRANTED: Final = "granted"
NO_ANSWER: Final = "no_answer"
"""The connection was refused, reset, or gave no answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request for a playback URL.

    Attributes:
        sent_at: when the request was sent.
        is_known: whether the service had looked up the channel before.
        code: `granted`, the code of the refusal, or `no_answer`.
        took_seconds: how long the client waited.
    """

    sent_at: float
    is_known: bool
    code: str
    took_seconds: float


@dataclass(frozen=True, slots=True)
class Play:
    """One token, presented at the edge once.

    Attributes:
        presented_at: when.
        key_id: the key pair that signed it.
        status: the HTTP status of the edge's answer.
    """

    presented_at: float
    key_id: str
    status: int

    @property
    def is_refused(self) -> bool:
        """Whether the edge refused the token."""
        return self.status != 200  # noqa: PLR2004 # OK.


@dataclass(frozen=True, slots=True)
class Probe:
    """One answer of `/readyz`, or of `/readyz?scope=replica`.

    Attributes:
        sent_at: when the request was sent.
        of_replica: whether it asked for this replica only.
        code: `ready`, the code of the first failure, or `no_answer`.
    """

    sent_at: float
    of_replica: bool
    code: str


@dataclass
class Observations:
    """Everything that was seen, in no particular order. Several threads append to it."""

    answers: list[Answer] = field(default_factory=list)
    plays: list[Play] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    late_plays: int = 0

    def is_normal_since(self, moment: float) -> bool:
        """Whether requests were answered since then, and each of them was granted."""
        codes = {answer.code for answer in self.answers if answer.sent_at >= moment}
        return codes == {GRANTED}


@dataclass(frozen=True, slots=True)
class Window:
    """When a scenario took place: the fault began, was removed, and the next scenario followed."""

    began_at: float
    removed_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Answers:
    """The requests of one kind that were sent during a fault.

    Attributes:
        codes: how many had which code.
        first_refused_after_seconds: when the first was refused, from the beginning of the fault;
            None if none was.
        longest_seconds: the longest time that a client waited.
    """

    codes: Mapping[str, int]
    first_refused_after_seconds: float | None
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario in numbers.

    Attributes:
        title: what was done.
        fault_seconds: how long the fault lasted.
        known, new: the requests for known channels and for channels that were new.
        readyz, replica: how many answers of each code `/readyz` gave during the fault.
        plays: how often tokens were presented at the edge in this scenario.
        refused_plays: how many of those were refused, by the key pair that had signed.
        normal_after_seconds: from the removal of the fault until every request is granted again;
            None if that did not happen.
    """

    title: str
    fault_seconds: float
    known: Answers
    new: Answers
    readyz: Mapping[str, int]
    replica: Mapping[str, int]
    plays: int
    refused_plays: Mapping[str, int]
    normal_after_seconds: float | None


def row(title: str, seen: Observations, window: Window) -> Row:
    """The numbers of the scenario in that window."""
    plays = [each for each in seen.plays if window.began_at <= each.presented_at < window.ended_at]
    return Row(
        title,
        window.removed_at - window.began_at,
        _answers(seen.answers, window, lambda answer: answer.is_known),
        _answers(seen.answers, window, lambda answer: not answer.is_known),
        _probe_codes(seen.probes, window, of_replica=False),
        _probe_codes(seen.probes, window, of_replica=True),
        len(plays),
        dict(Counter(each.key_id for each in plays if each.is_refused)),
        normal_after(seen.answers, window),
    )


def normal_after(answers: Iterable[Answer], window: Window) -> float | None:
    """Seconds from the removal of the fault to the first request after the last refusal."""
    after = sorted(
        (each for each in answers if window.removed_at <= each.sent_at < window.ended_at),
        key=lambda answer: answer.sent_at,
    )
    refused = [index for index, answer in enumerate(after) if answer.code != GRANTED]
    if not refused:
        return 0.0 if after else None
    if refused[-1] == len(after) - 1:
        return None
    return after[refused[-1] + 1].sent_at - window.removed_at


def _answers(
    answers: Iterable[Answer], window: Window, is_wanted: Callable[[Answer], bool]
) -> Answers:
    during: Sequence[Answer] = [
        each
        for each in answers
        if window.began_at <= each.sent_at < window.removed_at and is_wanted(each)
    ]
    refused = [each.sent_at - window.began_at for each in during if each.code != GRANTED]
    return Answers(
        dict(Counter(each.code for each in during)),
        min(refused, default=None),
        max((each.took_seconds for each in during), default=0.0),
    )


def _probe_codes(probes: Iterable[Probe], window: Window, *, of_replica: bool) -> Mapping[str, int]:
    codes = (
        each.code
        for each in probes
        if window.began_at <= each.sent_at < window.removed_at and each.of_replica is of_replica
    )
    return dict(Counter(codes))
