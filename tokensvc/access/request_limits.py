"""Limits the rate of the requests for playback URLs, by caller and by viewer.

A request is counted after its caller is known, and once, although it may run again because it has
to wait: the environ keeps the result. Each item of a batch counts. An answer to a caller that has
a limit says in RateLimit-Policy and RateLimit where it stands
(draft-ietf-httpapi-ratelimit-headers-11).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tokensvc.access.callers import Caller
from tokensvc.access.grants import Grant
from tokensvc.access.refused_sign_ins import RefusedSignIns
from tokensvc.access.requests import PlaybackRequest
from tokensvc.audit import Audit
from tokensvc.clock import Clock, Moment
from tokensvc.errors import RateLimited
from tokensvc.ivs.limits import LONGEST_VIEWER_ID
from tokensvc.meter import Meter
from tokensvc.rates import Fleet, Rate, RateLimiter, Standing

Environ = MutableMapping[str, Any]
"""The WSGI environ of a request (PEP 3333)."""

CALLER: Final = "caller"
VIEWER: Final = "viewer"
PERSON: Final = "person"
"""The names of the limits."""

PERSON_PER_MINUTE: Final = 60
"""A player requests a URL every few minutes for each channel, and whenever its page is loaded."""

LARGEST_BATCH: Final = 100
"""Items of a batch."""

_OPERATION: Final = "operation"

COUNTED: Final = "tokensvc.counted"
"""The environ key with the `Counted` of a request that was counted."""


@dataclass(slots=True)
class Counted:
    """What counting a request has resulted in.

    Attributes:
        standings: where its caller and its viewer stand, by the name of the limit.
        items: for each item of a batch the limit that it exceeds, None for one that is allowed.
        is_audited: whether the refusals of a batch have their line in the audit log.
    """

    standings: dict[str, Standing] = field(default_factory=dict)
    items: Sequence[Standing | None] = ()
    is_audited: bool = False

    def fields(self) -> dict[str, str]:
        """The header fields of the answer."""
        policies, standings = [], []
        for name, standing in self.standings.items():
            rate = standing.rate
            wait_seconds = standing.retry_seconds or standing.full_seconds
            policies.append(f'"{name}";q={rate.quota};w={rate.window_seconds}')
            standings.append(f'"{name}";r={standing.left};t={math.ceil(wait_seconds)}')
        if not policies:
            return {}
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(standings)}


@dataclass(frozen=True, slots=True)
class RequestRates:
    """The limits of the whole fleet; None for no limit.

    Attributes:
        caller_per_second: playback URLs a second for one caller that is a program.
        caller_burst: how many of them at once; by default twice as many, and a whole batch.
        viewer_per_minute: playback URLs a minute for one viewer; for a person by default
            `PERSON_PER_MINUTE`.
    """

    caller_per_second: int | None = None
    caller_burst: int | None = None
    viewer_per_minute: int | None = None

    def caller(self) -> Rate | None:
        """The limit of a program."""
        quota = self.caller_per_second
        if quota is None:
            return None
        return Rate(CALLER, quota, 1, self.caller_burst or max(2 * quota, LARGEST_BATCH))

    def viewer(self, name: str = VIEWER) -> Rate | None:
        """The limit of a viewer ID that a program sends."""
        quota = self.viewer_per_minute
        return None if quota is None else Rate(name, quota, 60, burst=quota)

    def person(self) -> Rate:
        """The limit of a person."""
        default = Rate(PERSON, PERSON_PER_MINUTE, 60, burst=PERSON_PER_MINUTE)
        return self.viewer(PERSON) or default


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of a process, shared by all its threads.

    Attributes:
        clock: the time.
        audited: writes the audit lines of the refusals.
        callers: limits each caller that is a program; None for no limit.
        viewers: limits each viewer ID that a program sends; None for no limit.
        people: limits each caller that is a person: one with an identity, who is the viewer.
        backend_grants: the grants of callers that act for viewers. A caller with an identity and
            only such grants is a program.
        meter: counts the refusals.
    """

    clock: Clock
    audited: RefusedSignIns
    callers: RateLimiter | None
    viewers: RateLimiter | None
    people: RateLimiter
    backend_grants: frozenset[str] = frozenset()
    meter: Meter = field(default_factory=Meter)

    @classmethod
    def of(
        cls,
        rates: RequestRates,
        clock: Clock,
        fleet: Fleet,
        grants: Iterable[Grant],
        audit: Audit,
        *,
        has_people: bool = False,
        meter: Meter | None = None,
    ) -> RequestLimits | None:
        """The limiters of a process that shares these rates with the fleet; None if none applies.

        Args:
            rates: the limits of the whole fleet.
            clock: the time.
            fleet: the processes that share them.
            grants: all grants of the service.
            audit: the audit log, in which refusals get lines at a limited rate.
            has_people: whether a caller may have an identity.
            meter: counts the refusals. Default: none.
        """
        caller, viewer = rates.caller(), rates.viewer()
        if caller is None and viewer is None and not has_people:
            return None
        return cls(
            clock,
            RefusedSignIns(audit),
            callers=None if caller is None else RateLimiter(caller, fleet),
            viewers=None if viewer is None else RateLimiter(viewer, fleet),
            people=RateLimiter(rates.person(), fleet),
            backend_grants=frozenset(each.name for each in grants if each.acts_for_viewers),
            meter=meter or Meter(),
        )

    def count_caller(self, environ: Environ, caller: Caller, request_id: str) -> None:
        """Count a request of that caller, unless it was counted before.

        Raises:
            RateLimited: the caller is at its limit.
            AuditUnavailable, OSError: the refusal can't be audited.
        """
        limiter = self._limiter_of(caller)
        if limiter is not None:
            self._count(environ, limiter, caller, caller.caller_id, request_id)

    def count_operation(self, environ: Environ, caller: Caller, request_id: str) -> None:
        """Count a request of another route: with the limit of its caller, and apart from URLs.

        So no number of playback URLs keeps a moderator from ending a session.

        Raises:
            RateLimited: the caller is at its limit.
            AuditUnavailable, OSError: the refusal can't be audited.
        """
        limiter = self._limiter_of(caller)
        if limiter is not None:
            self._count(environ, limiter, caller, (_OPERATION, caller.caller_id), request_id)

    def count_viewer(
        self, environ: Environ, caller: Caller, request: PlaybackRequest, request_id: str
    ) -> None:
        """Count a request for its viewer, unless it was counted before.

        Raises:
            RateLimited: the viewer is at its limit.
            AuditUnavailable, OSError: the refusal can't be audited.
        """
        if self.viewers is not None and request.viewer_id and not self._is_person(caller):
            self._count(environ, self.viewers, caller, _viewer_key(caller, request), request_id)

    def count_items(
        self, environ: Environ, caller: Caller, items: Sequence[object], request_id: str
    ) -> Sequence[RateLimited | None]:
        """Count each item of a batch, unless the batch was counted before.

        All refusals of one batch together get one line in the audit log.

        Returns:
            The refusal of each item, or None for one that is allowed.

        Raises:
            RateLimited: no item is allowed.
            AuditUnavailable, OSError: the refusals can't be audited.
        """
        counted = _counted(environ)
        if not counted.items:
            counted.items = [self._item(counted, caller, item) for item in items]
        exceeded = [standing for standing in counted.items if standing is not None]
        if exceeded and not counted.is_audited:
            self._write_line(caller, request_id, {standing.rate.name for standing in exceeded})
            counted.is_audited = True
        if len(exceeded) == len(items):
            raise _refusal(exceeded[0])
        return [None if standing is None else _refusal(standing) for standing in counted.items]

    def _count(
        self,
        environ: Environ,
        limiter: RateLimiter,
        caller: Caller,
        key: Hashable,
        request_id: str,
    ) -> None:
        counted, name = _counted(environ), limiter.rate.name
        if name not in counted.standings:
            self._take(counted, limiter, key)
        if not counted.standings[name].is_allowed:
            self._write_line(caller, request_id, {name})
            raise _refusal(counted.standings[name])

    def _write_line(self, caller: Caller, request_id: str, limits: Collection[str]) -> None:
        self.audited.record(
            Moment.of(self.clock),
            request_id=request_id,
            code=RateLimited.code,
            rule=",".join(sorted(limits)),
            key_id=caller.caller_id,
        )

    def _item(self, counted: Counted, caller: Caller, item: object) -> Standing | None:
        """Count an item. Returns the first limit that it exceeds, if it exceeds one."""
        limiter = self._limiter_of(caller)
        if limiter is not None and not self._take(counted, limiter, caller.caller_id):
            return counted.standings[limiter.rate.name]
        if self.viewers is None or not isinstance(item, PlaybackRequest):
            return None
        if item.viewer_id and not self._is_person(caller):
            standing = self.viewers.take(_viewer_key(caller, item), self.clock.monotonic())
            if not standing.is_allowed:
                self.meter.limited(VIEWER)
                return standing
        return None

    def _take(self, counted: Counted, limiter: RateLimiter, key: Hashable) -> bool:
        standing = limiter.take(key, self.clock.monotonic())
        counted.standings[limiter.rate.name] = standing
        if not standing.is_allowed:
            self.meter.limited(limiter.rate.name)
        return standing.is_allowed

    def _limiter_of(self, caller: Caller) -> RateLimiter | None:
        return self.people if self._is_person(caller) else self.callers

    def _is_person(self, caller: Caller) -> bool:
        if caller.identity is None:
            return False
        # Without any grant it is a person: refusals cost something too.
        return not caller.grants or not self.backend_grants.issuperset(caller.grants)


def fields_of(environ: Environ) -> Mapping[str, str]:
    """The header fields about the limits of that request; none if it was not counted."""
    counted: Counted | None = environ.get(COUNTED)
    return {} if counted is None else counted.fields()


def _viewer_key(caller: Caller, request: PlaybackRequest) -> Hashable:
    """The key of the viewer. One that is too long is refused later, and is not kept as a whole."""
    return caller.caller_id, (request.viewer_id or "")[: LONGEST_VIEWER_ID + 1]


def _counted(environ: Environ) -> Counted:
    counted: Counted = environ.setdefault(COUNTED, Counted())
    return counted


def _refusal(standing: Standing) -> RateLimited:
    rate = standing.rate
    window = {1: "second", 60: "minute"}[rate.window_seconds]
    whose = "This viewer" if rate.name == VIEWER else "This caller"
    return RateLimited(
        f"{whose} has a limit of {rate.quota} requests a {window}, shared by all processes of the"
        " service. Each item of a batch counts.",
        hint="Wait for `retry_after_seconds`. A new playback URL is needed only when"
        " `refresh_after_seconds` of the last one have passed, or the page is loaded again.",
        retry_after_seconds=math.ceil(standing.retry_seconds),
        audit_rule=rate.name,
    )
