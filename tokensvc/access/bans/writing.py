"""Make, lift and confirm bans: durable when a function here returns."""

from __future__ import annotations

from collections.abc import Callable

from tokensvc.access.bans import model
from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.log import BanLog
from tokensvc.access.bans.model import Ban, BanTerms, Target
from tokensvc.arns import ChannelArn
from tokensvc.clock import Clock, rfc3339
from tokensvc.errors import InvalidRequest, Problem


class BanWriter:
    """Writes bans in the name of a caller or an operator.

    Args:
        log: where they are stored.
        clock: the time.
        terms: what the lines depend on.
        known: what this process knows of the log; whatever is new is read.
    """

    def __init__(
        self, log: BanLog, clock: Clock, terms: BanTerms, known: Callable[[], BanBook]
    ) -> None:
        self._log = log
        self._clock = clock
        self._terms = terms
        self._known = known

    def kick(self, target: Target, *, by: str, note: str = "") -> Ban:
        """Revoke the viewer's sessions up to now, and return the kick, which IVS must confirm.

        Raises:
            StateUnavailable: when it can't be written now. Kick again: it may have been written.
            InvalidRequest: when processes of the previous release would ignore it.
        """
        now = self._clock.now()
        made = model.kick(
            target, now=now, terms=self._terms, made_by=by, ban_id=model.new_ban_id(), note=note
        )
        return self._append(lambda _: made)

    def ban(self, target: Target, *, seconds: float | None, by: str, note: str = "") -> Ban:
        """Ban the viewer for that time, or close the channel; None is without an end.

        Raises:
            StateUnavailable: when it can't be written now. Ban again: it may have been written.
            InvalidRequest: when processes of the previous release would ignore it.
        """
        now, began_monotonic = self._clock.now(), self._clock.monotonic()
        made = model.ban(
            target,
            model.FOREVER if seconds is None else now + seconds,
            now=now,
            terms=self._terms,
            made_by=by,
            ban_id=model.new_ban_id(),
            note=note,
        )
        written = self._append(lambda _: made)
        if self._clock.monotonic() - began_monotonic > model.WRITE_SECONDS:
            # Until the write had ended, other processes could read the bans without this one.
            return self._change(
                made.ban_id,
                lambda ban: model.with_line(ban, now=self._clock.now(), terms=self._terms),
            )
        return written

    def lift(self, ban_id: str, *, by: str) -> Ban:
        """Lift the ban, and return it; the viewer gets a token when its line has passed.

        Raises:
            NotFound: when there is no such ban.
            InvalidRequest: when it is a kick.
            StateUnavailable: when it can't be written now.
        """

        def lifted(ban: Ban) -> Ban:
            if ban.is_kick:
                raise InvalidRequest(
                    "This is a kick, which can't be lifted: the viewer may come back at"
                    f" {rfc3339(model.line_passes_at(ban.line))}.",
                    problems=(Problem("ban_id", "is_kick", "A kick can't be lifted."),),
                )
            return model.lift(ban, now=self._clock.now(), by=by)

        return self._change(ban_id, lifted)

    def confirm(self, ban_id: str, channels_left: tuple[ChannelArn, ...] = ()) -> Ban:
        """Record that IVS has revoked the sessions, except on those channels.

        Raises:
            NotFound: when there is no such ban.
            StateUnavailable: when it can't be written now.
        """
        return self._change(ban_id, lambda ban: model.confirm(ban, channels_left))

    def _change(self, ban_id: str, change: Callable[[Ban], Ban]) -> Ban:
        return self._append(lambda book: change(book.find(ban_id)))

    def _append(self, change: Callable[[BanBook], Ban]) -> Ban:
        return self._log.append(self._known(), change)[1]
