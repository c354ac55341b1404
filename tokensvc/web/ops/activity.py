"""What a worker has decided and what it knows, for the operator's page."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, cast

from tokensvc.access.api_keys import ApiKeys
from tokensvc.access.bans.book import BanBook
from tokensvc.access.bans.listing import kind_of, state_of
from tokensvc.access.bans.model import FOREVER, Ban
from tokensvc.access.callers import without_viewer_id
from tokensvc.arns import ChannelArn
from tokensvc.audit import AuditEvent
from tokensvc.clock import Moment, rfc3339
from tokensvc.errors import TokensvcError
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.keyring.reporting.record import ReconcileRecord
from tokensvc.keyring.view import RingView
from tokensvc.playback.recent_decisions import RecentDecisions
from tokensvc.service import Service
from tokensvc.state.watch import Watched
from tokensvc.web.ops.answers import (
    OpsBan,
    OpsBans,
    OpsChannel,
    OpsChannels,
    OpsDecision,
    OpsDecisions,
    OpsRefusals,
    OpsView,
)
from tokensvc.web.ops.regions import latest_ring

MOST_CHANNELS: Final = 50
MOST_BANS: Final = 10

_GRANTED: Final = ""


def decisions_of(recent: RecentDecisions) -> OpsDecisions:
    """The decisions of this process."""
    counts = dict(recent.counts())
    granted = counts.pop(_GRANTED, 0)
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return OpsDecisions(
        since=rfc3339(recent.since),
        granted=granted,
        refused=[OpsRefusals(code=code, count=count) for code, count in by_count],
        latest=[_decision(event) for event in recent.latest()],
    )


def _decision(event: AuditEvent) -> OpsDecision:
    shown = event.members()
    return OpsDecision(
        at=rfc3339(event.at),
        decision="refused" if event.code else "granted",
        code=event.code,
        rule=event.rule,
        channel=cast("str | None", shown["channel"]),  # Without a secret that a client sent there.
        channel_arn=event.channel_arn,
        caller_id=None if event.caller_id is None else without_viewer_id(event.caller_id),
        grant=event.grant,
        request_id=event.request_id,
    )


def channels_of(
    directory: ChannelDirectory, names: Mapping[str, ChannelArn], recent: RecentDecisions
) -> OpsChannels:
    """What is known about the channels of the last decisions, and then about those with a name."""
    names_of: dict[ChannelArn, list[str]] = defaultdict(list)
    for name, arn in names.items():
        names_of[arn].append(name)
    arns = dict.fromkeys((*_channels_of_decisions(recent.latest()), *names_of))
    return OpsChannels(
        cached=directory.size,
        listed=[
            OpsChannel(
                channel_arn=str(known.arn),
                names=sorted(names_of.get(known.arn, ())),
                answer=known.answer,
                age_seconds=None if known.age_seconds is None else int(known.age_seconds),
                refresh_in_seconds=math.ceil(known.refresh_in_seconds),
            )
            for known in directory.known(islice(arns, MOST_CHANNELS))
        ],
    )


def _channels_of_decisions(events: Sequence[AuditEvent]) -> Iterator[ChannelArn]:
    for event in events:
        if event.channel_arn is not None:
            yield ChannelArn.parse(event.channel_arn)


def bans_of(book: BanBook, now: float) -> OpsBans:
    """The bans of that book at that time, in Unix seconds."""
    return OpsBans(
        kept=len(book.events),
        active=sum(state_of(ban, now) == "active" for ban in book.bans),
        pending=sum(ban.unconfirmed for ban in book.bans),
        latest=[
            _ban(ban, now)
            for ban in heapq.nlargest(MOST_BANS, book.bans, key=lambda ban: ban.made_at)
        ],
    )


def _ban(ban: Ban, now: float) -> OpsBan:
    has_end = ban.banned_until is not None and ban.banned_until < FOREVER
    return OpsBan(
        ban_id=ban.ban_id,
        kind=kind_of(ban),
        state=state_of(ban, now),
        channel_arn=None if ban.channel_arn is None else str(ban.channel_arn),
        banned_until=rfc3339(ban.banned_until or 0) if has_end else None,
        is_pending_at_ivs=ban.unconfirmed,
        made_at=rfc3339(ban.made_at),
        made_by=without_viewer_id(ban.made_by),
    )


def views_of(service: Service, moment: Moment) -> list[OpsView]:
    """How old everything is that this process has read."""
    max_age_seconds = int(service.access_max_age_seconds)
    rings = sorted(service.rings.items())
    return [
        _view("API keys", service.api_keys, max_age_seconds, moment),
        _view("bans", service.bans.watched, max_age_seconds, moment),
        *(_view(f"ring {region}", view, _max_age(view), moment) for region, view in rings),
        _view("runs of reconcile", service.reconciles.watched, None, moment),
        *_views_of_issuers(service, moment),
    ]


def _views_of_issuers(service: Service, moment: Moment) -> Iterator[OpsView]:
    for issuer in service.oidc.issuers if service.oidc else ():
        age, failure = issuer.keeper.age_seconds(moment), issuer.keeper.failure
        yield OpsView(
            name=f"keys of the issuer {issuer.terms.name}",
            age_seconds=None if age is None else int(age),
            max_age_seconds=int(issuer.terms.keys_max_age_seconds),
            code="" if failure is None else failure.code,
        )


def _view(
    name: str,
    view: Watched[ApiKeys] | Watched[None] | Watched[ReconcileRecord] | RingView,
    max_age_seconds: int | None,
    moment: Moment,
) -> OpsView:
    try:
        age = int(view.latest().age_seconds(moment))
    except TokensvcError as exc:
        return OpsView(name=name, age_seconds=None, max_age_seconds=max_age_seconds, code=exc.code)
    code = "" if view.failure is None else view.failure.code
    return OpsView(name=name, age_seconds=age, max_age_seconds=max_age_seconds, code=code)


def _max_age(view: RingView) -> int | None:
    ring = latest_ring(view)
    return None if ring is None else ring.terms.ring_max_age_seconds
