"""Tags of resources, and the rules that AWS has for them.

Up to 50 a resource; keys are case-sensitive; the prefix `aws:`, in any case, is AWS's own
(AWS: "Tag naming limits and requirements"). Lengths and characters are in the service model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokensvc.localivs.errors import ValidationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

MOST_TAGS = 50
RESERVED_PREFIX = "aws:"


def tags_of(connection: sqlite3.Connection, resource_arn: str) -> dict[str, str]:
    """The tags of a resource, by key."""
    rows = connection.execute(
        "SELECT key, value FROM tags WHERE resource_arn = ? ORDER BY key", (resource_arn,)
    )
    return {row["key"]: row["value"] for row in rows}


def add_tags(connection: sqlite3.Connection, resource_arn: str, tags: Mapping[str, str]) -> None:
    """Add these tags, or give new values to those that are there.

    Raises:
        ValidationError: a key is reserved, or the resource would have more than 50 tags.
    """
    reserved = [key for key in tags if key.lower().startswith(RESERVED_PREFIX)]
    if reserved:
        raise ValidationError(f"tag keys that begin with aws: are reserved: {', '.join(reserved)}")
    connection.executemany(
        "INSERT INTO tags (resource_arn, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (resource_arn, key) DO UPDATE SET value = excluded.value",
        [(resource_arn, key, value) for key, value in tags.items()],
    )
    if len(tags_of(connection, resource_arn)) > MOST_TAGS:
        raise ValidationError(f"a resource has at most {MOST_TAGS} tags; remove some first")


def remove_tags(connection: sqlite3.Connection, resource_arn: str, keys: Iterable[str]) -> None:
    """Remove these tags; a key that isn't there is no error."""
    connection.executemany(
        "DELETE FROM tags WHERE resource_arn = ? AND key = ?", [(resource_arn, key) for key in keys]
    )


def forget_resource(connection: sqlite3.Connection, resource_arn: str) -> None:
    """Remove every tag of a resource that is being deleted."""
    connection.execute("DELETE FROM tags WHERE resource_arn = ?", (resource_arn,))
