"""`tokensvc tags`: the tags of channels, stream keys and playback key pairs."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tokensvc.aws import translate_errors
from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import tags_text
from tokensvc.cli.naming import ResourceArn, find_resource
from tokensvc.cli.output import json_option, print_json, print_table

_RESERVED_PREFIX = "aws:"  # Reserved for AWS (AWS: tag naming limits and requirements).
_MAX_KEY_LENGTH = 128  # characters; IVS: botocore model, TagKey
_MAX_VALUE_LENGTH = 256  # characters; IVS: botocore model, TagValue


def read_tags(
    _context: click.Context, _parameter: click.Parameter, texts: Iterable[str]
) -> dict[str, str]:
    """Parse tags of the form `KEY=VALUE`; the first = ends the key.

    Raises:
        click.BadParameter: when a text is not a valid tag, or a key is repeated.
    """
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not 1 <= len(key) <= _MAX_KEY_LENGTH or len(value) > _MAX_VALUE_LENGTH:
            raise click.BadParameter(
                f"{text!r} is not a valid tag. Use KEY=VALUE, with a key of 1 to"
                f" {_MAX_KEY_LENGTH} characters and a value of at most {_MAX_VALUE_LENGTH}."
            )
        if key.lower().startswith(_RESERVED_PREFIX):
            raise click.BadParameter(
                f"The key {key!r} is not allowed: AWS reserves the prefix {_RESERVED_PREFIX!r}."
            )
        if key in tags:
            raise click.BadParameter(f"The key {key!r} is repeated. Use each key once.")
        tags[key] = value
    return tags


tag_option = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=read_tags,
    help="A tag. Repeat the option for several tags.",
)
resource_argument = click.argument("resource")


@click.group()
def tags() -> None:
    """Manage tags. RESOURCE is the ARN of any IVS resource, or the name of a channel."""


@tags.command(name="list")
@resource_argument
@every_region_option
@json_option
@pass_ivs
def list_tags(ivs: IvsAccess, resource: str, region: str | None, *, as_json: bool) -> None:
    """List the tags of RESOURCE.

    Calls ListTagsForResource, and ListChannels to find a name.
    """
    current = _tags_of(ivs, find_resource(ivs, resource, region))
    if as_json:
        print_json(current)
    else:
        print_table(("KEY", "VALUE"), sorted(current.items()))


@tags.command()
@resource_argument
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...", callback=read_tags)
@every_region_option
@pass_ivs
def add(ivs: IvsAccess, resource: str, tags: dict[str, str], region: str | None) -> None:
    """Add tags to RESOURCE. An existing key gets the new value.

    Calls TagResource, and ListChannels to find a name.
    """
    arn = find_resource(ivs, resource, region)
    client = ivs.client(arn.region)
    with translate_errors("TagResource", arn.region):
        client.tag_resource(resourceArn=arn.text, tags=tags)
    click.echo(f"Added to {arn}: {tags_text(tags)}.")


@tags.command()
@resource_argument
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@every_region_option
@yes_option
@pass_ivs
def remove(
    ivs: IvsAccess, resource: str, keys: tuple[str, ...], region: str | None, *, yes: bool
) -> None:
    """Remove the tags with these keys from RESOURCE.

    Calls ListTagsForResource and UntagResource, and ListChannels to find a name.
    """
    arn = find_resource(ivs, resource, region)
    current = _tags_of(ivs, arn)
    removed = {key: current[key] for key in keys if key in current}
    if not removed:
        click.echo(f"{arn} has no tag with these keys. Its tags: {tags_text(current)}.")
        return
    confirm(f"Remove these tags from {arn}: {tags_text(removed)}. Continue?", yes=yes)
    client = ivs.client(arn.region)
    with translate_errors("UntagResource", arn.region):
        client.untag_resource(resourceArn=arn.text, tagKeys=list(removed))
    click.echo(f"Removed from {arn}: {tags_text(removed)}.")


def _tags_of(ivs: IvsAccess, arn: ResourceArn) -> dict[str, str]:
    client = ivs.client(arn.region)
    with translate_errors("ListTagsForResource", arn.region):
        return client.list_tags_for_resource(resourceArn=arn.text)["tags"]
