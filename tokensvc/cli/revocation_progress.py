"""What commands print while revocations are carried out, and when they give up."""

from __future__ import annotations

from collections.abc import Callable

import click

from tokensvc.arns import Region
from tokensvc.audit import json_line
from tokensvc.cli.output import say, say_error
from tokensvc.clock import Clock, rfc3339
from tokensvc.playback.revocation.events import (
    CallFailed,
    LeaseChanged,
    LoopEvent,
    Revoked,
    StateFailed,
)
from tokensvc.playback.revocation.loop import RevocationLoop, run

_CALLS_PER_LINE = 50
_MAX_STATE_FAILURES = 3
_PATIENCE_SECONDS = 60.0


class RevocationProgress:
    """Prints the events of a loop: messages on standard error, JSON lines on standard output.

    Args:
        clock: the time.
        as_json: whether to print a line of JSON for each revocation.
        count: counts what IVS has answered, instead of a line from time to time.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        as_json: bool = False,
        count: Callable[[Revoked], None] | None = None,
    ) -> None:
        self._clock = clock
        self._as_json = as_json
        self._count = count
        self._calls = 0
        self._failing: set[Region] = set()
        self._state_failures = 0
        self._progress_at = clock.monotonic()

    def note(self, event: LoopEvent) -> None:
        """Print the event."""
        match event:
            case Revoked():
                self._progress_at = self._clock.monotonic()
                self._state_failures = 0
                self._print_revoked(event)
            case CallFailed():
                if event.region not in self._failing:
                    say(f"{event.region}:")
                    say_error(event.error)
                    say("It is tried again.")
                self._failing.add(event.region)
            case StateFailed():
                self._state_failures += 1
                if self._state_failures == 1:
                    say_error(event.error)
                    say("It is tried again.")
            case LeaseChanged(is_held=False):
                say("Another process carries out revocations. This one waits.")
            case LeaseChanged():
                pass

    def has_given_up(self, loop: RevocationLoop) -> bool:
        """Whether a command that is not a service should end, although something is pending."""
        is_slow = self._clock.monotonic() - self._progress_at > _PATIENCE_SECONDS
        return loop.is_stuck or is_slow or self._state_failures >= _MAX_STATE_FAILURES

    def run_until(self, loop: RevocationLoop, is_over: Callable[[], bool]) -> None:
        """Run the loop until it is over, or the command gives up."""

        def pause(seconds: float) -> bool:
            self._clock.sleep(seconds)
            return False

        run(loop, pause, lambda: is_over() or self.has_given_up(loop))

    def _print_revoked(self, event: Revoked) -> None:
        self._calls += 1
        if event.region in self._failing:
            self._failing.discard(event.region)
            say(f"{event.region}: Amazon IVS answers again.")
        for failure in event.refused:
            say(
                f"{event.region}: the sessions of {failure.viewer.viewer_id} on"
                f" {failure.viewer.channel_arn} were not revoked: {failure.aws_code}."
            )
        if self._count is not None:
            self._count(event)
        elif event.left and self._calls % _CALLS_PER_LINE == 0:
            late = f", {event.late_seconds:.0f} s late" if event.late_seconds >= 1 else ""
            say(f"{event.region}: {event.left} left, about {event.left_seconds:.0f} s{late}.")
        if self._as_json:
            self._print_json(event)

    def _print_json(self, event: Revoked) -> None:
        at = rfc3339(self._clock.now())
        for ban in event.confirmed:
            kind = "kick_confirmed" if ban.is_kick else "ban_confirmed"
            _print_line({"at": at, "event": kind, "ban_id": ban.ban_id})
        for ended in event.ended:
            _print_line(
                {
                    "at": at,
                    "event": "session_ended",
                    "channel_arn": str(ended.viewer.channel_arn),
                    "viewer_id": ended.viewer.viewer_id,
                    "session_version": ended.version,
                    "watch_until": rfc3339(ended.ends_at),
                }
            )


def _print_line(members: dict[str, str | int]) -> None:
    click.echo(json_line(members), nl=False)
