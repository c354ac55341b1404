"""Every operation that Local IVS serves, called once by one client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from example_key import PUBLIC_KEY
from local_ivs.faults import api_errors
from local_ivs.operations import READING, WRITING
from local_ivs.testing import conformance

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

    from local_ivs.testing import LocalIvsServer


def test_every_operation_responds_in_the_shape_of_the_model(
    server: LocalIvsServer, ivs: IVSClient
) -> None:
    """The client validates every response against the model; all 24 operations succeed."""
    channel = ivs.create_channel(name="example", type="ADVANCED_HD", tags={"a": "b"})["channel"]
    arn = channel["arn"]
    ivs.update_channel(arn=arn, authorized=True)
    ivs.get_channel(arn=arn)
    ivs.batch_get_channel(arns=[arn, arn + "x"])
    ivs.list_channels()
    (key,) = ivs.list_stream_keys(channelArn=arn)["streamKeys"]
    ivs.get_stream_key(arn=key["arn"])
    ivs.batch_get_stream_key(arns=[key["arn"], key["arn"] + "x"])
    ivs.delete_stream_key(arn=key["arn"])
    ivs.create_stream_key(channelArn=arn)
    pair = ivs.import_playback_key_pair(publicKeyMaterial=PUBLIC_KEY, name="k")["keyPair"]
    ivs.get_playback_key_pair(arn=pair["arn"])
    ivs.list_playback_key_pairs()
    ivs.tag_resource(resourceArn=pair["arn"], tags={"c": "d"})
    ivs.list_tags_for_resource(resourceArn=pair["arn"])
    ivs.untag_resource(resourceArn=pair["arn"], tagKeys=["c"])
    ivs.delete_playback_key_pair(arn=pair["arn"])
    server.go_live(arn)
    ivs.get_stream(channelArn=arn)
    ivs.list_streams(filterBy={"health": "HEALTHY"})
    ivs.put_metadata(channelArn=arn, metadata="hello")
    ivs.start_viewer_session_revocation(channelArn=arn, viewerId="alice")
    ivs.batch_start_viewer_session_revocation(
        viewerSessions=[
            {"channelArn": arn, "viewerId": "alice"},
            {"channelArn": arn + "x", "viewerId": "bob"},
        ]
    )
    ivs.stop_stream(channelArn=arn)
    ivs.delete_channel(arn=arn)
    assert server.succeeded_operations == set(READING) | set(WRITING)
    assert len(server.succeeded_operations) == 24


def test_error_names_and_statuses_match_the_model() -> None:
    """Local IVS has every error of the model, with its status, plus the unmodeled ones."""
    modeled = {
        name: shape["error"]["httpStatusCode"]
        for name, shape in conformance.model()["shapes"].items()
        if shape.get("exception")
    }
    ours = {name: kind.http_status for name, kind in api_errors().items()}
    assert {name: ours.get(name) for name in modeled} == modeled
    assert set(ours) - set(modeled) == conformance.UNMODELED_ERRORS
