"""`tokensvc tags`: the tags of channels, stream keys and playback key pairs."""

from __future__ import annotations

from collections.abc import Iterable

import click

from tokensvc.aws import translated
from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.ivs_access import IvsAccess, every_region_option, pass_ivs
from tokensvc.cli.ivs_answers import tags_text
from tokensvc.cli.naming import ResourceArn, find_resource
from tokensvc.cli.output import json_option, print_json, print_table

_AWS_OWN = "aws:"  # AWS keeps these to itself (AWS: tag naming limits and requirements).
_LONGEST_KEY = 128  # characters; IVS: botocore model, TagKey
_LONGEST_VALUE = 256  # characters; IVS: botocore model, TagValue


def read_tags(
    _context: click.Context, _parameter: click.Parameter, texts: Iterable[str]
) -> dict[str, str]:
    """The tags that `KEY=VALUE` texts spell; the first = ends the key.

    Raises:
        click.BadParameter: when one spells none that AWS takes.
    """
    tags: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not 1 <= len(key) <= _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise click.BadParameter(
                f"{text!r} is not KEY=VALUE with a key of 1 to {_LONGEST_KEY} characters and a"
                f" value of at most {_LONGEST_VALUE}."
            )
        if key.lower().startswith(_AWS_OWN):
            raise click.BadParameter(f"{key!r}: AWS keeps keys that begin with aws: to itself.")
        if key in tags:
            raise click.BadParameter(f"The key {key!r} is given twice.")
        tags[key] = value
    return tags


tag_option = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    callback=read_tags,
    help="A tag; give the option again for more.",
)
resource_argument = click.argument("resource")


@click.group()
def tags() -> None:
    """Tags of any RESOURCE of IVS: its ARN, or a channel's name."""


@tags.command(name="list")
@resource_argument
@every_region_option
@json_option
@pass_ivs
def list_tags(ivs: IvsAccess, resource: str, region: str | None, *, as_json: bool) -> None:
    """List the tags of RESOURCE.

    Calls ListTagsForResource, and ListChannels to find a name.
    """
    held = _tags_of(ivs, find_resource(ivs, resource, region))
    if as_json:
        print_json(held)
    else:
        print_table(("KEY", "VALUE"), sorted(held.items()))


@tags.command()
@resource_argument
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...", callback=read_tags)
@every_region_option
@pass_ivs
def add(ivs: IvsAccess, resource: str, tags: dict[str, str], region: str | None) -> None:
    """Add tags to RESOURCE; a key that it has gets the new value.

    Calls TagResource, and ListChannels to find a name.
    """
    arn = find_resource(ivs, resource, region)
    client = ivs.client(arn.region)
    with translated("TagResource", arn.region):
        client.tag_resource(resourceArn=arn.text, tags=tags)
    click.echo(f"{arn} is tagged: {tags_text(tags)}.")


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
    held = _tags_of(ivs, arn)
    lost = {key: held[key] for key in keys if key in held}
    if not lost:
        click.echo(f"{arn} has no such tag; its tags: {tags_text(held)}.")
        return
    confirm(f"Remove from {arn}: {tags_text(lost)}. Go on?", yes=yes)
    client = ivs.client(arn.region)
    with translated("UntagResource", arn.region):
        client.untag_resource(resourceArn=arn.text, tagKeys=list(lost))
    click.echo(f"{arn} has lost: {tags_text(lost)}.")


def _tags_of(ivs: IvsAccess, arn: ResourceArn) -> dict[str, str]:
    client = ivs.client(arn.region)
    with translated("ListTagsForResource", arn.region):
        return client.list_tags_for_resource(resourceArn=arn.text)["tags"]
