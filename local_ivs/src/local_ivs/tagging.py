"""Tags of resources, and AWS's rules for them.

A resource has at most 50 tags. Keys are case-sensitive. The prefix `aws:`, in any case, is reserved
(AWS: "Tag naming limits and requirements"). The service model limits lengths and characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_ivs.errors import ValidationError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

MAX_TAGS = 50
RESERVED_PREFIX = "aws:"


def tags_of(connection: sqlite3.Connection, resource_arn: str) -> dict[str, str]:
    """The tags of a resource, ordered by key."""
    rows = connection.execute(
        "SELECT key, value FROM tags WHERE resource_arn = ? ORDER BY key", (resource_arn,)
    )
    return {row["key"]: row["value"] for row in rows}


def add_tags(connection: sqlite3.Connection, resource_arn: str, tags: Mapping[str, str]) -> None:
    """Add these tags; replace the values of existing ones.

    Raises:
        ValidationError: a key is reserved, or the resource would have more than 50 tags.
    """
    reserved = [key for key in tags if key.lower().startswith(RESERVED_PREFIX)]
    if reserved:
        raise ValidationError(f"Tag keys with the prefix aws: are reserved: {', '.join(reserved)}")
    connection.executemany(
        "INSERT INTO tags (resource_arn, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (resource_arn, key) DO UPDATE SET value = excluded.value",
        [(resource_arn, key, value) for key, value in tags.items()],
    )
    if len(tags_of(connection, resource_arn)) > MAX_TAGS:
        raise ValidationError(f"A resource can have at most {MAX_TAGS} tags; remove some first")


def remove_tags(connection: sqlite3.Connection, resource_arn: str, keys: Iterable[str]) -> None:
    """Remove these tags; a key that doesn't exist is not an error."""
    connection.executemany(
        "DELETE FROM tags WHERE resource_arn = ? AND key = ?", [(resource_arn, key) for key in keys]
    )


def delete_all_tags(connection: sqlite3.Connection, resource_arn: str) -> None:
    """Remove every tag of a resource, when the resource is deleted."""
    connection.execute("DELETE FROM tags WHERE resource_arn = ?", (resource_arn,))
