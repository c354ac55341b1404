"""The second half of `keys revoke --from-audit`: the streams of the viewers that a log names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import TextIO

from tokensvc.arns import Region
from tokensvc.cli.invocation import Invocation
from tokensvc.cli.output import say, say_error
from tokensvc.errors import TokensvcError
from tokensvc.ivs.viewer_sessions import MOST_IN_A_BATCH, NotRevoked, Viewer, revoke_sessions
from tokensvc.playback.audited_viewers import audited_viewers

_TELL_EVERY_BATCHES = 50


def revoke_audited_sessions(
    invocation: Invocation, audit: TextIO, key_ids: Collection[str]
) -> bool:
    """Revoke them, tell what could not be, and give whether all that were named are revoked."""
    named = audited_viewers(audit, key_ids)
    if named.unread:
        say(f"{named.unread} lines of the file are no lines of an audit log, and were passed over.")
    if named.nameless:
        say(
            f"{named.nameless} tokens had no viewer ID: IVS can't stop what plays by them, short of"
            " stopping the whole stream (tokensvc streams stop CHANNEL)."
        )
    say(
        "Tokens that a thief signed are in no audit log and can't be named: what he began to play"
        " goes on until he stops, or the stream does."
    )
    all_done = True
    for region, viewers in groupby(named.viewers, key=lambda viewer: viewer.channel_arn.region):
        try:
            done = _revoke_in(invocation, region, tuple(viewers))
        except TokensvcError as exc:
            say(f"{region}:")
            say_error(exc)
            say("Revoking again does no harm: run the same command again.")
            done = False
        all_done = all_done and done
    return all_done


def _revoke_in(invocation: Invocation, region: Region, viewers: Sequence[Viewer]) -> bool:
    skew = invocation.settings.rotation.clock_skew_seconds
    # A worker whose clock runs ahead may just have signed: its token is of a later second.
    line = int(invocation.clock.now()) + skew
    say(f"{region}: viewers whose sessions are revoked: {len(viewers)}.")
    batches = revoke_sessions(
        invocation.clients, region, viewers, invocation.clock, versions_up_to=line
    )
    done = 0
    failures: list[NotRevoked] = []
    for number, batch in enumerate(batches, start=1):
        done += batch.viewers
        failures += batch.failures
        if number % _TELL_EVERY_BATCHES == 0:
            left_seconds = (len(viewers) - done) / MOST_IN_A_BATCH / 2
            say(f"{region}: {done} of {len(viewers)}, some {left_seconds:.0f} s left.")
    for failure in failures:
        say(
            f"{region}: not {failure.viewer.viewer_id} at {failure.viewer.channel_arn}:"
            f" {failure.aws_code}"
        )
    say(
        f"{region}: {done - len(failures)} revoked. These viewers need a new playback URL; one"
        f" signed within the next {skew} s is refused too."
    )
    return not failures
