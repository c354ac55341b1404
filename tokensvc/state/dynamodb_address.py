"""Which table of DynamoDB a state is in: `REGION/TABLE`, as the settings have it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from tokensvc.arns import Region, parse_region
from tokensvc.errors import InvalidArn, SettingsInvalid

# AWS: Naming rules in DynamoDB.
_TABLE_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{3,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TableAddress:
    """A table of DynamoDB.

    Attributes:
        region: its region; the one of the environment is never used.
        table: its name.
    """

    region: Region
    table: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The table at `REGION/TABLE`.

        Raises:
            SettingsInvalid: when the text is something else.
        """
        region, _, table = text.partition("/")
        try:
            parsed = parse_region(region)
        except InvalidArn as exc:
            raise SettingsInvalid(exc.detail, hint="Use dynamodb:REGION/TABLE.") from exc
        if not _TABLE_NAME.fullmatch(table):
            raise SettingsInvalid(
                f"{table!r} is not the name of a DynamoDB table.",
                hint="Use dynamodb:REGION/TABLE. TABLE has 3 to 255 letters, digits, '-', '_' and"
                " '.'.",
            )
        return cls(parsed, table)

    def __str__(self) -> str:
        return f"DynamoDB table {self.table} in {self.region}"
