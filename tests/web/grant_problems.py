"""The texts of refusals by grants, for `test_problem_sentences`."""

from __future__ import annotations

from tests.web.problem_shape import Text, problem
from tests.web.provoking import Provoke, post, post_as

OTHER_REGION_ARN = "arn:aws:ivs:us-east-1:123456789012:channel/demo"

GRANTS: list[tuple[Provoke, Text]] = [
    (
        post({"channel": OTHER_REGION_ARN}),
        problem(
            "not_entitled",
            "No grant of this caller covers the requested channel.",
            "Check the ARN of the channel, or its name in section `[channels]` of the settings. To"
            " allow it, add the channel to a grant of this caller: open.",
            ("channel", "no_grant", "No grant of this caller covers the requested channel."),
        ),
    ),
    (
        post_as(
            "website",
            channel="demo",
            viewer_id="viewer-1",
            allowed_origins=["https://evil.example", "https://a.example.com"],
        ),
        problem(
            "not_entitled",
            "The grant website does not allow playback from https://evil.example.",
            "Use origins that the grant allows: https://*.example.com.",
            ("allowed_origins", "origin_not_granted", "https://evil.example is not allowed."),
        ),
    ),
    (
        post({"channel": "nowhere"}),
        problem(
            "not_entitled",
            "No grant of this caller covers the requested channel.",
            "Check the ARN of the channel, or its name in section `[channels]` of the settings. To"
            " allow it, add the channel to a grant of this caller: open.",
            ("channel", "no_grant", "No grant of this caller covers the requested channel."),
        ),
    ),
    (
        post_as("germany", channel="demo", viewer_country="FR"),
        problem(
            "country_not_allowed",
            "Viewers in FR may not watch this channel.",
            "To allow it, add the country to `countries` of each grant that lists some.",
            ("viewer_country", "country_not_granted", "Viewers in FR may not watch this channel."),
        ),
    ),
]
