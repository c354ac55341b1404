"""The tags of IVS resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokensvc.arns import ResourceArn
from tokensvc.aws import AwsClients
from tokensvc.ivs.translation import translate_errors


def tags_of(clients: AwsClients, arn: ResourceArn) -> dict[str, str]:
    """Return the tags of the resource.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(arn.region)
    with translate_errors("ListTagsForResource", arn.region):
        return client.list_tags_for_resource(resourceArn=arn.text)["tags"]


def add_tags(clients: AwsClients, arn: ResourceArn, tags: Mapping[str, str]) -> None:
    """Add tags to the resource; an existing key gets the new value.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(arn.region)
    with translate_errors("TagResource", arn.region):
        client.tag_resource(resourceArn=arn.text, tags=tags)


def remove_tags(clients: AwsClients, arn: ResourceArn, keys: Sequence[str]) -> None:
    """Remove the tags with these keys from the resource.

    Raises:
        NotFound, IvsRefused, IvsUnavailable: when the call to IVS fails.
    """
    client = clients.ivs(arn.region)
    with translate_errors("UntagResource", arn.region):
        client.untag_resource(resourceArn=arn.text, tagKeys=keys)
