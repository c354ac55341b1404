"""`tokensvc tags`: the tags of channels, stream keys and playback key pairs."""

from __future__ import annotations

import click

from tokensvc.cli.changing import confirm, yes_option
from tokensvc.cli.ivs.access import EVERY_REGION, IvsAccess, pass_ivs
from tokensvc.cli.ivs.answers import tags_text
from tokensvc.cli.ivs.naming import find_resource
from tokensvc.cli.output import json_option, print_json, print_table
from tokensvc.cli.params import TAG, tags_by_key
from tokensvc.ivs.tags import add_tags, remove_tags, tags_of

resource_argument = click.argument("resource")


@click.group()
def tags() -> None:
    """Manage tags. RESOURCE is the ARN of any IVS resource, or the name of a channel."""


@tags.command(name="list")
@resource_argument
@pass_ivs(EVERY_REGION)
@json_option
def list_command(ivs: IvsAccess, resource: str, *, as_json: bool) -> None:
    """List the tags of RESOURCE.

    Calls ListTagsForResource, and ListChannels to find a name.
    """
    current = tags_of(ivs.clients, find_resource(ivs, resource))
    if as_json:
        print_json(current)
    else:
        print_table(("KEY", "VALUE"), sorted(current.items()))


@tags.command()
@resource_argument
@click.argument(
    "tags", nargs=-1, required=True, type=TAG, metavar="KEY=VALUE...", callback=tags_by_key
)
@pass_ivs(EVERY_REGION)
def add(ivs: IvsAccess, resource: str, tags: dict[str, str]) -> None:
    """Add tags to RESOURCE. An existing key gets the new value.

    Calls TagResource, and ListChannels to find a name.
    """
    arn = find_resource(ivs, resource)
    add_tags(ivs.clients, arn, tags)
    click.echo(f"Added to {arn}: {tags_text(tags)}.")


@tags.command()
@resource_argument
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@pass_ivs(EVERY_REGION)
@yes_option
def remove(ivs: IvsAccess, resource: str, keys: tuple[str, ...], *, yes: bool) -> None:
    """Remove the tags with these keys from RESOURCE.

    Calls ListTagsForResource and UntagResource, and ListChannels to find a name.
    """
    arn = find_resource(ivs, resource)
    current = tags_of(ivs.clients, arn)
    removed = {key: current[key] for key in keys if key in current}
    if not removed:
        click.echo(f"{arn} has no tag with these keys. Its tags: {tags_text(current)}.")
        return
    confirm(f"Remove these tags from {arn}: {tags_text(removed)}. Continue?", yes=yes)
    remove_tags(ivs.clients, arn, list(removed))
    click.echo(f"Removed from {arn}: {tags_text(removed)}.")
