"""`keys revoke --from-audit`: revoke the sessions of the viewers that an audit log names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import TextIO

from tokensvc.arns import Region
from tokensvc.cli.invocation import Invocation
from tokensvc.cli.output import say, say_error
from tokensvc.errors import TokensvcError
from tokensvc.ivs.viewer_sessions import MAX_VIEWERS_PER_CALL, NotRevoked, Viewer, revoke_sessions
from tokensvc.playback.audited_viewers import audited_viewers

_BATCHES_PER_PROGRESS_LINE = 50


def revoke_audited_sessions(
    invocation: Invocation, audit: TextIO, key_ids: Collection[str]
) -> bool:
    """Revoke the sessions, and print what could not be revoked.

    Returns whether the sessions of all viewers that the log names are revoked.
    """
    named = audited_viewers(audit, key_ids)
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
    all_done = True
    for region, viewers in groupby(named.viewers, key=lambda viewer: viewer.channel_arn.region):
        try:
            done = _revoke_in(invocation, region, tuple(viewers))
        except TokensvcError as exc:
            say(f"{region}:")
            say_error(exc)
            say("Run the same command again. Sessions that are already revoked stay revoked.")
            done = False
        all_done = all_done and done
    return all_done


def _revoke_in(invocation: Invocation, region: Region, viewers: Sequence[Viewer]) -> bool:
    skew = invocation.settings.rotation.clock_skew_seconds
    # A worker whose clock runs ahead may just have signed: its token is of a later second.
    line = int(invocation.clock.now()) + skew
    say(f"{region}: revoking the sessions of {_viewers(len(viewers))}.")
    batches = revoke_sessions(
        invocation.clients, region, viewers, invocation.clock, versions_up_to=line
    )
    done = 0
    failures: list[NotRevoked] = []
    for number, batch in enumerate(batches, start=1):
        done += batch.viewers
        failures += batch.failures
        if number % _BATCHES_PER_PROGRESS_LINE == 0:
            left_seconds = (len(viewers) - done) / MAX_VIEWERS_PER_CALL / 2
            say(f"{region}: {done} of {len(viewers)} done, about {left_seconds:.0f} s left.")
    for failure in failures:
        say(
            f"{region}: the sessions of {failure.viewer.viewer_id} on"
            f" {failure.viewer.channel_arn} were not revoked: {failure.aws_code}"
        )
    say(
        f"{region}: revoked the sessions of {_viewers(done - len(failures))}. These viewers need a"
        f" new playback URL. IVS also refuses one that is signed within the next {skew} s."
    )
    return not failures


def _viewers(number: int) -> str:
    return "1 viewer" if number == 1 else f"{number} viewers"
