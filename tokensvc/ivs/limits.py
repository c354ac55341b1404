"""The numbers of Amazon IVS, in one place. This module imports nothing.

Each number has its source: a page of the IVS documentation ("IVS: page"), or a shape of the service
model that botocore ships ("botocore model"). "Believed" marks what no page of AWS that we have
states, and "ours" what this service decides.
"""

from __future__ import annotations

from typing import Final

# --- Playback tokens

TEN_MINUTE_RULE_SECONDS: Final = 600
"""The longest lifetime with a viewer ID or for single use (IVS:
private-channels-generate-tokens)."""

GRANTED_UNDER_TEN_MINUTE_RULE_SECONDS: Final = 540
"""Ours: the longest lifetime granted where IVS allows 600. One minute is left for clock
differences."""

LONGEST_TOKEN_BYTES: Final = 2_048
"""The longest JWT that IVS accepts; believed: no page of AWS that we have states it."""

LONGEST_VIEWER_ID: Final = 40
"""Characters (IVS: private-channels-generate-tokens; botocore model: ViewerId)."""

MAX_STRICT_ORIGINS: Final = 5
"""Origins of a token with strict enforcement (IVS: private-channels-generate-tokens)."""

LATEST_REVOCABLE_VERSION: Final = 2**31 - 1
"""The viewer session version is a 32-bit integer in the API that revokes sessions (botocore model:
ViewerSessionVersion), and a 64-bit one in the claim."""

LONGEST_WATCH_SECONDS: Final = 30 * 86_400
"""Ours: how far ahead the end of a right to watch may be. No session lasts so long (believed)."""

# --- Resources

LONGEST_ARN: Final = 128
"""Characters (botocore model: ChannelArn, PlaybackKeyPairArn, StreamKeyArn, ResourceArn)."""

LONGEST_NAME: Final = 128
"""Characters of a channel's or key pair's name (botocore model: ChannelName,
PlaybackKeyPairName)."""

MAX_KEY_PAIRS: Final = 3
"""Playback key pairs in a region of an account; not adjustable (IVS: service-quotas)."""

LONGEST_TAG_KEY: Final = 128
"""Characters (botocore model: TagKey)."""

LONGEST_TAG_VALUE: Final = 256
"""Characters (botocore model: TagValue)."""

LONGEST_METADATA_BYTES: Final = 1_024
"""Bytes of UTF-8 in one PutMetadata call (IVS: PutMetadata)."""

# --- Calls

MAX_CHANNELS_PER_CALL: Final = 50
"""ARNs in one BatchGetChannel call (botocore model: ChannelArnList)."""

MAX_STREAM_KEYS_PER_CALL: Final = 50
"""ARNs in one BatchGetStreamKey call (botocore model: StreamKeyArnList)."""

MAX_VIEWERS_PER_CALL: Final = 20
"""Viewers in one BatchStartViewerSessionRevocation call (botocore model:
BatchStartViewerSessionRevocationViewerSessionList)."""

KEY_PAIRS_PER_PAGE: Final = 100
"""The largest page of ListPlaybackKeyPairs (botocore model: MaxPlaybackKeyPairResults)."""

STREAM_KEYS_PER_PAGE: Final = 50
"""The largest page of ListStreamKeys (botocore model: MaxStreamKeyResults)."""

# --- Rates: calls a second of an account in a region; not adjustable (IVS: service-quotas). The
# other operations allow 3 (playback key pairs), 5 (channels, streams, stream keys) or 10 (tags).

CHANNEL_CALLS_PER_SECOND: Final = 5
"""GetChannel and BatchGetChannel, each."""

REVOCATION_CALLS_PER_SECOND: Final = 2
"""BatchStartViewerSessionRevocation."""
