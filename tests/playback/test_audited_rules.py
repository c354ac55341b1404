"""Which rule the audit line of a decision names."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.deployment import OPEN, OTHER_REGION, WEBSITE, Deployment
from tokensvc.access.callers import Caller
from tokensvc.access.requests import PlaybackRequest
from tokensvc.errors import TokensvcError

REQUEST_ID = "request-1"
GERMANY = Caller("00000000000d", "germany", ("germany",))


@pytest.mark.parametrize(
    ("caller", "request_", "rule", "country"),
    [
        (OPEN, PlaybackRequest(channel="demo", ttl_seconds=60), None, None),
        (OPEN, PlaybackRequest(channel="demo", ttl_seconds=9_999), "ttl_seconds", None),
        (GERMANY, PlaybackRequest(channel="demo", viewer_country="DE"), None, "DE"),
        (
            GERMANY,
            PlaybackRequest(channel="demo", viewer_country="FR"),
            "country_not_granted",
            "FR",
        ),
        (GERMANY, PlaybackRequest(channel="demo"), "country_unknown", None),
        (WEBSITE, PlaybackRequest(channel="demo"), "viewer_id_required", None),
        (OTHER_REGION, PlaybackRequest(channel="demo"), "no_grant", None),
        (OPEN, PlaybackRequest(channel="demo", viewer_id="a b"), "viewer_id_visible", None),
    ],
)
def test_the_audit_line_has_the_rule_and_the_country(
    deployment: Deployment,
    caller: Caller,
    request_: PlaybackRequest,
    rule: str | None,
    country: str | None,
) -> None:
    """The rule that refused, or the options that a limit has changed."""
    with contextlib.suppress(TokensvcError):
        deployment.issuer.issue(caller, request_, REQUEST_ID)
    (event,) = deployment.audit.events
    assert (event.rule, event.country) == (rule, country)
