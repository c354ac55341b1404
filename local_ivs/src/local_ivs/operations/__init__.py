"""The operations that Local IVS serves, by name; each one reads or writes.

The `readonly` flags of the model aren't used, because the model marks the revocations as readonly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_ivs.operations import (
    channels,
    key_pairs,
    stream_keys,
    streams,
    tags,
    viewer_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_ivs.calls import Operation

READING: Mapping[str, Operation] = {
    "BatchGetChannel": channels.batch_get_channel,
    "BatchGetStreamKey": stream_keys.batch_get_stream_key,
    "GetChannel": channels.get_channel,
    "GetPlaybackKeyPair": key_pairs.get_key_pair,
    "GetStream": streams.get_stream,
    "GetStreamKey": stream_keys.get_stream_key,
    "ListChannels": channels.list_channels,
    "ListPlaybackKeyPairs": key_pairs.list_key_pairs,
    "ListStreamKeys": stream_keys.list_stream_keys,
    "ListStreams": streams.list_streams,
    "ListTagsForResource": tags.list_tags,
}

WRITING: Mapping[str, Operation] = {
    "BatchStartViewerSessionRevocation": viewer_sessions.batch_start_revocation,
    "CreateChannel": channels.create_channel,
    "CreateStreamKey": stream_keys.create_stream_key,
    "DeleteChannel": channels.delete_channel,
    "DeletePlaybackKeyPair": key_pairs.delete_key_pair,
    "DeleteStreamKey": stream_keys.delete_stream_key,
    "ImportPlaybackKeyPair": key_pairs.import_key_pair,
    "PutMetadata": streams.put_metadata,
    "StartViewerSessionRevocation": viewer_sessions.start_revocation,
    "StopStream": streams.stop_stream,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateChannel": channels.update_channel,
}
