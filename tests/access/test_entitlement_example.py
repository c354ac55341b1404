"""The hook of the documentation, asked over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from docs.examples.entitlement_hook import create_app
from tests.access.test_entitlement import QUESTION, about, hook_at
from tests.support.clock import ManualClock
from tests.support.serving import serving
from tests.support.webhook_receiver import SECRET
from tokensvc.access.entitlement_answer import Answer
from tokensvc.clock import SystemClock
from tokensvc.errors import EntitlementUnavailable
from tokensvc.token.claims import Resolution

OTHER_SECRET = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="


@pytest.fixture(name="url", scope="module")
def _url() -> Iterator[str]:
    with serving(create_app(SECRET)) as address:
        yield f"{address}/entitlement"


def test_the_subscription_decides(url: str) -> None:
    """Allowed, limited, ended, none, and no viewer ID."""
    with hook_at(url, SystemClock()) as hook:
        assert hook.ask(about("viewer-1")).decision == "allow"
        limited = hook.ask(about("viewer-2"))
        assert limited.maximum_resolution is Resolution.SD
        assert limited.watch_until == 4_070_908_800  # 2099-01-01T00:00:00Z.
        denied = Answer(decision="deny", reason="The subscription has ended.", cache_seconds=5)
        assert hook.ask(about("viewer-3")) == denied
        assert hook.ask(about("viewer-4")).decision == "deny"
        anonymous = replace(QUESTION, request=replace(QUESTION.request, viewer_id=None))
        assert hook.ask(anonymous).decision == "deny"


def test_a_question_with_another_signature_or_an_old_one_is_refused(url: str) -> None:
    """The hook answers 401, and then nothing is granted."""
    six_minutes_ago = ManualClock(time.time() - 360)
    with (
        serving(create_app(OTHER_SECRET)) as other,
        hook_at(f"{other}/entitlement", SystemClock()) as other_hook,
        hook_at(url, six_minutes_ago) as hook,
    ):
        for each in (other_hook, hook):
            with pytest.raises(EntitlementUnavailable):
                each.ask(QUESTION)
