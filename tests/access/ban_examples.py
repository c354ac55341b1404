"""What the tests of bans share."""

from __future__ import annotations

from tests.support.clock import EXAMPLE_NOW
from tokensvc.access.bans.model import BanTerms, Target
from tokensvc.arns import ChannelArn

NOW = int(EXAMPLE_NOW)
TERMS = BanTerms(clock_skew_seconds=10, access_max_age_seconds=120)
CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/one")
OTHER_CHANNEL = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/two")
VIEWER = Target(("viewer-1",), CHANNEL)
VIEWER_EVERYWHERE = Target(("viewer-1",), None)
EVERYONE = Target((), CHANNEL)
