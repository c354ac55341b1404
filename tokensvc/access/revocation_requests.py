"""A request to revoke the sessions of a viewer, as a moderator's program sends it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import ConfigDict, FailFast, Field, StrictBool, StrictInt, StrictStr, with_config

from tokensvc.access.bans.model import LONGEST_NOTE
from tokensvc.errors import InvalidRequest, Problem
from tokensvc.ivs.limits import LONGEST_ARN
from tokensvc.token.rules import VIEWER_ID, broken_rules

MAX_PAIRS: Final = 100
"""Viewer IDs times channels of one request. A command has no such limit."""

LONGEST_BAN_SECONDS: Final = 3_650 * 86_400
LONGEST_IDENTITY: Final = 2_048  # characters of an issuer or a subject

_Channel = Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_ARN)]


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRequest:
    """A request to revoke a viewer's sessions: the body of `POST /v1/viewer-session-revocations`.

    Attributes:
        viewer_id: the viewer.
        issuer: the `iss` of the tokens of a user; with `subject`, instead of `viewer_id`.
        subject: the `sub` of the tokens of a user. It may be personal data.
        channel: the channel, by ARN or name.
        channels: several channels instead.
        all_channels: whether it is for all channels instead.
        ban_seconds: for how long the viewer gets no playback URL; None for a kick.
        note: why, for other moderators.
    """

    viewer_id: StrictStr | None = None
    issuer: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_IDENTITY)] | None = None
    subject: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST_IDENTITY)] | None = field(
        default=None, repr=False
    )
    channel: _Channel | None = None
    channels: Annotated[tuple[_Channel, ...], Field(max_length=MAX_PAIRS), FailFast()] = ()
    all_channels: StrictBool = False
    ban_seconds: Annotated[StrictInt, Field(ge=1, le=LONGEST_BAN_SECONDS)] | None = None
    note: Annotated[StrictStr, Field(max_length=LONGEST_NOTE)] = ""

    def require_valid(self) -> None:
        """Return if the members fit together.

        Raises:
            InvalidRequest: with every problem.
        """
        problems = tuple(self._problems())
        if problems:
            text = " ".join(problem.message for problem in problems)
            raise InvalidRequest(text, problems=problems)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels that are named, each once."""
        one = () if self.channel is None else (self.channel,)
        return tuple(dict.fromkeys((*one, *self.channels)))

    def _problems(self) -> Iterator[Problem]:
        has_user = self.issuer is not None or self.subject is not None
        if (self.viewer_id is None) != has_user or (self.issuer is None) != (self.subject is None):
            yield Problem(
                "viewer_id", "one_viewer", "Name the viewer by viewer_id, or by issuer and subject."
            )
        ways = (self.channel is not None, bool(self.channels), self.all_channels)
        if sum(ways) != 1:
            yield Problem(
                "channel", "one_of_channels", "Use one of channel, channels and all_channels."
            )
        if not self.note.isprintable():
            yield Problem("note", "one_line", "note must be one line of printable characters.")
        if self.viewer_id is not None:
            yield from viewer_id_problems(self.viewer_id)


def viewer_id_problems(viewer_id: str) -> Iterator[Problem]:
    """Why no token can have the viewer ID. One that no new token may have can be revoked too."""
    for broken in broken_rules({VIEWER_ID: viewer_id}, now=0.0):
        if broken.claim == VIEWER_ID and broken.enforced_by_ivs:
            yield Problem("viewer_id", broken.rule, broken.message)


def require_viewer_id(viewer_id: str) -> str:
    """The viewer ID, if a token can have it.

    Raises:
        InvalidRequest: when none can.
    """
    for problem in viewer_id_problems(viewer_id):
        raise InvalidRequest(f"{viewer_id[:80]!r}: {problem.message}", problems=(problem,))
    return viewer_id


def require_issuer(issuer: str, configured: Collection[str]) -> None:
    """Return if a viewer can have a token of that issuer.

    A ban of a user of another one would be stored and have no effect, such as when the URL lacks
    the slash at its end. Without any configured issuer, it is not known which there are.

    Args:
        issuer: the `iss` of the tokens.
        configured: the `iss` of each issuer of the settings.

    Raises:
        InvalidRequest: when it is none of them.
    """
    if configured and issuer not in configured:
        message = "No issuer of the settings has this URL, so no viewer would be stopped."
        raise InvalidRequest(
            message,
            hint="Use the `iss` of the user's tokens, character by character, not the name of the"
            " issuer's section. For a user of an issuer that was removed, use the viewer ID.",
            problems=(Problem("issuer", "unknown_issuer", message),),
        )
