"""A deployment on AWS whose commands are killed: a table in dynalite, private keys in moto."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.crash.commands import Urls
from tests.keyring.rings import REGION
from tests.support.clock import ManualClock
from tests.support.rewindable_moto import RewindableMoto
from tests.support.settings import settings_in
from tests.support.tables import Table
from tokensvc.aws import AwsClients
from tokensvc.keyring.custody.base import Custody
from tokensvc.keyring.custody.kms import KmsCustody
from tokensvc.operations import build_custody
from tokensvc.state.base import State

CUSTODY_URLS: Final = {
    "secretsmanager": "secretsmanager:tokensvc/",
    "kms": "kms:alias/tokensvc/",
}
_KEY: Final = ("pk", "sk")


@dataclass
class AwsStorage:
    """A table, and a custody of that kind: `secretsmanager` or `kms`.

    A copy is the original, brought back to what was kept: KMS gives no private key away.
    """

    kind: str
    table: Table
    moto: RewindableMoto
    clients: AwsClients
    clock: ManualClock
    _kept_items: list[dict[str, Any]] = field(default_factory=list)

    def emptied(self) -> AwsStorage:
        """The same, after deleting everything in the table and in moto."""
        self.moto.reset()
        self._replace_items([])
        return self

    @property
    def urls(self) -> Urls:
        """The table, and the prefix of the private keys."""
        return Urls(f"dynamodb:{REGION}/{self.table.address.table}", CUSTODY_URLS[self.kind])

    def open_state(self) -> State:
        """The state in the table."""
        return self.table.state(clock=self.clock)

    def open_custody(self, *, previous_secret: bytes | None = None) -> Custody:
        """The custody. It has no key-encryption secret."""
        del previous_secret
        url = CUSTODY_URLS[self.kind]
        settings = settings_in(Path(), custody={"url": url}).custody
        return build_custody(settings, REGION, self.clients, self.clock)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the items of the table, and the memory of moto."""
        self._kept_items = self._items()
        with self.moto.kept():
            yield

    def copy(self, folder: Path) -> AwsStorage:
        """The same, as it was kept. The folder is for nothing but the settings."""
        folder.mkdir()
        self.moto.rewind()
        self._replace_items(self._kept_items)
        return self

    def draft_key_ids(self) -> set[str]:
        """A secret and a key are made in one call, so there are no drafts."""
        return set()

    def remains(self) -> int:
        """The KMS keys without an alias."""
        custody = self.open_custody()
        return len(custody.unnamed_keys()) if isinstance(custody, KmsCustody) else 0

    def check(self, key_ids: set[str], *, is_adopting: bool) -> None:
        """There are these private keys, and besides them only what the doctor reports.

        A killed save leaves one body that no head names, which the next save but one deletes.
        """
        assert is_adopting or set(self.open_custody().key_ids()) == key_ids
        usable = self._usable_kms_keys() if self.kind == "kms" else self._secrets()
        assert is_adopting or usable == len(key_ids) + self.remains()
        ring = [
            item["sk"]["S"] for item in self._items() if item["pk"]["S"] == f"body/ring:{REGION}"
        ]
        assert 1 <= len(ring) <= 2, ring

    def _usable_kms_keys(self) -> int:
        """How many KMS keys there are that no one deletes, named or not."""
        kms = self.clients.kms(REGION)
        ids = [
            key["KeyId"]
            for page in kms.get_paginator("list_keys").paginate()
            for key in page["Keys"]
        ]
        described = [kms.describe_key(KeyId=each)["KeyMetadata"] for each in ids]
        return sum(each["KeyState"] != "PendingDeletion" for each in described)

    def _secrets(self) -> int:
        """How many secrets there are that are not deleted."""
        client = self.clients.secrets_manager(REGION)
        pages = client.get_paginator("list_secrets").paginate()
        return sum(len(page["SecretList"]) for page in pages)

    def _items(self) -> list[dict[str, Any]]:
        client = self.table.clients().dynamodb(REGION)
        pages = client.get_paginator("scan").paginate(
            TableName=self.table.address.table, ConsistentRead=True
        )
        return [dict(item) for page in pages for item in page["Items"]]

    def _replace_items(self, items: list[dict[str, Any]]) -> None:
        self._write([{"DeleteRequest": {"Key": _key_of(item)}} for item in self._items()])
        self._write([{"PutRequest": {"Item": item}} for item in items])

    def _write(self, requests: list[dict[str, Any]]) -> None:
        client = self.table.clients().dynamodb(REGION)
        for start in range(0, len(requests), 25):
            some: Any = requests[start : start + 25]
            client.batch_write_item(RequestItems={self.table.address.table: some})


def _key_of(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: item[name] for name in _KEY}
