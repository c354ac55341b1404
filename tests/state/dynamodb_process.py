"""A process that races others to save a document in DynamoDB.

`python -m tests.state.dynamodb_process URL TABLE WRITER VERSIONS` prints the versions that it
saved.
"""

from __future__ import annotations

import sys

from tests.state.sqlite_process import race
from tests.support.tables import REGION, Table
from tokensvc.state.dynamodb_address import TableAddress

if __name__ == "__main__":
    _, url, table_name, writer, versions = sys.argv
    table = Table(url, TableAddress(REGION, table_name))
    with table.opened:
        race(table.state(), writer, versions)
