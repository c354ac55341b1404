"""Print the progress of `keys revoke --from-audit`."""

from __future__ import annotations

from tokensvc.cli.output import say, say_error
from tokensvc.playback.revocation.audited_viewers import AuditedViewers
from tokensvc.playback.revocation.by_region import (
    BatchRevoked,
    RegionBegins,
    RegionFailed,
    RegionRevoked,
    SessionEvent,
)

_BATCHES_PER_PROGRESS_LINE = 50


def print_audited(named: AuditedViewers) -> None:
    """Print what an audit log does not say: sessions that can't be revoked with it."""
    if named.unreadable_lines:
        say(
            "Lines of the file that are not from an audit log, and were skipped:"
            f" {named.unreadable_lines}."
        )
    if named.tokens_without_viewer_id:
        say(
            f"Tokens without a viewer ID: {named.tokens_without_viewer_id}. Their sessions can't be"
            " revoked. To end them, stop the whole stream: `tokensvc streams stop CHANNEL`."
        )
    say(
        "Tokens that an attacker signed are in no audit log. Sessions that an attacker started"
        " can't be revoked one by one. They end when the attacker or the stream stops."
    )


def print_session_event(event: SessionEvent) -> None:
    """Print one event on standard error."""
    region = event.region
    match event:
        case RegionBegins():
            say(f"{region}: revoking the sessions of {_viewers(event.viewers)}.")
        case BatchRevoked():
            if event.number % _BATCHES_PER_PROGRESS_LINE == 0:
                left = f"{event.left_seconds:.0f} s left"
                say(f"{region}: {event.done} of {event.viewers} done, about {left}.")
        case RegionRevoked():
            _print_region(event)
        case RegionFailed():
            say(f"{region}:")
            say_error(event.error)
            say("Run the same command again. Sessions that are already revoked stay revoked.")


def _print_region(event: RegionRevoked) -> None:
    for failure in event.failures:
        say(
            f"{event.region}: the sessions of {failure.viewer.viewer_id} on"
            f" {failure.viewer.channel_arn} were not revoked: {failure.aws_code}"
        )
    say(
        f"{event.region}: revoked the sessions of {_viewers(event.revoked)}. These viewers need a"
        " new playback URL. IVS also refuses one that is signed within the next"
        f" {event.refused_for_seconds} s."
    )


def _viewers(number: int) -> str:
    return "1 viewer" if number == 1 else f"{number} viewers"
