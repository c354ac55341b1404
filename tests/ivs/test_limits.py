"""IVS's numbers, compared with the service model that botocore ships."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from tokensvc.ivs import limits


def shape(name: str) -> Any:
    """A shape of IVS's service model."""
    return botocore.session.get_session().get_service_model("ivs").shape_for(name)


@pytest.mark.parametrize(
    ("limit", "shapes"),
    [
        (
            limits.LONGEST_ARN,
            ["ChannelArn", "PlaybackKeyPairArn", "StreamKeyArn", "ResourceArn"],
        ),
        (limits.LONGEST_NAME, ["ChannelName", "PlaybackKeyPairName"]),
        (limits.LONGEST_VIEWER_ID, ["ViewerId"]),
        (limits.LONGEST_TAG_KEY, ["TagKey"]),
        (limits.LONGEST_TAG_VALUE, ["TagValue"]),
        (limits.MAX_CHANNELS_PER_CALL, ["ChannelArnList"]),
        (limits.MAX_STREAM_KEYS_PER_CALL, ["StreamKeyArnList"]),
        (
            limits.MAX_VIEWERS_PER_CALL,
            ["BatchStartViewerSessionRevocationViewerSessionList"],
        ),
        (limits.KEY_PAIRS_PER_PAGE, ["MaxPlaybackKeyPairResults"]),
        (limits.STREAM_KEYS_PER_PAGE, ["MaxStreamKeyResults"]),
    ],
)
def test_a_limit_with_the_service_model_as_its_source_is_the_one_of_the_model(
    limit: int, shapes: list[str]
) -> None:
    """A newer botocore may change one: then the number here has to follow."""
    assert [shape(name).metadata["max"] for name in shapes] == [limit] * len(shapes)


def test_a_viewer_session_version_is_a_32_bit_integer_in_the_api() -> None:
    """The shape `integer` of botocore has 32 bits, `long` has 64."""
    assert shape("ViewerSessionVersion").type_name == "integer"
    assert limits.LATEST_REVOCABLE_VERSION == 2_147_483_647


def test_the_numbers_of_the_documentation() -> None:
    """By hand, from private-channels-generate-tokens and service-quotas; 540 and 2,048 are ours."""
    assert limits.TEN_MINUTE_RULE_SECONDS == 600
    assert limits.GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS == 540
    assert limits.LONGEST_TOKEN_BYTES == 2_048
    assert limits.MAX_STRICT_ORIGINS == 5
    assert limits.MAX_KEY_PAIRS == 3
    assert limits.LONGEST_METADATA_BYTES == 1_024
    assert limits.REVOCATION_CALLS_PER_SECOND == 2
