"""What a restore stores of a backup: rings that know of it, and API keys that need confirmation."""

from __future__ import annotations

import pytest

from tests.keyring.rings import pair, ring
from tests.support.clock import EXAMPLE_NOW
from tokensvc.access.api_keys import ApiKeys, create
from tokensvc.errors import SchemaUnsupported, StateDamaged
from tokensvc.keyring.model import KeyState
from tokensvc.keyring.restoration import Restoration
from tokensvc.keyring.ring_document import decode_ring, encode_ring
from tokensvc.state.base import NEW, Contents, Document, Record, Version
from tokensvc.state_restore import as_restored

RING = ring(pair("a", KeyState.ACTIVE))
KEYS, _ = create(ApiKeys(), name="site", grants=("web",), now=EXAMPLE_NOW)
VERSION = Version(7, "of the backup")


def backup(schema_version: int, **more: str) -> Contents:
    """A backup with a ring, an API key and a record, in that schema version."""
    bodies = {
        "ring:us-west-2": encode_ring(RING, schema_version),
        "api-keys": KEYS.encode(schema_version),
        "schema": f'{{"schema_version":{schema_version}}}',
        **more,
    }
    records = (("channel", Record("a", "answer", EXAMPLE_NOW)),)
    return Contents({name: Document(body, VERSION) for name, body in bodies.items()}, records)


@pytest.mark.parametrize("schema_version", [1, 2])
def test_a_backup_is_restored_in_the_current_schema_with_its_marks(schema_version: int) -> None:
    """Also one of the previous release, whose processes would ignore the marks."""
    before = backup(schema_version)
    restored = as_restored(before, "ann@desk")
    restored_ring = decode_ring(restored.documents["ring:us-west-2"])
    assert restored_ring.restoration == Restoration("ann@desk", restored_at=None)
    assert restored_ring.pairs == RING.pairs
    keys = ApiKeys.decode(restored.documents["api-keys"])
    assert [(key.name, key.needs_confirmation) for key in keys.keys] == [("site", True)]
    assert restored.documents["schema"].body == '{"schema_version":2}'
    assert '"schema_version":2' in restored.documents["ring:us-west-2"].body
    assert restored.records == before.records


def test_every_document_gets_a_new_version_each_time() -> None:
    """Neither a process of the lost state nor one of an earlier restore can save over it."""
    once, twice = (as_restored(backup(2), "ann@desk").documents for _ in range(2))
    for name in ("ring:us-west-2", "api-keys", "schema"):
        assert once[name].version.number == twice[name].version.number == 8
        assert len({VERSION.nonce, once[name].version.nonce, twice[name].version.nonce}) == 3


def test_a_backup_from_before_the_first_api_key_is_restored_without_keys() -> None:
    """The document must exist: a worker that has read it refuses a state without it."""
    of_ring = {name: each for name, each in backup(2).documents.items() if name == "ring:us-west-2"}
    restored = as_restored(Contents(of_ring), "ann@desk").documents
    assert ApiKeys.decode(restored["api-keys"]).keys == ()
    assert restored["api-keys"].version.number == NEW.number + 1
    assert restored["schema"].body == '{"schema_version":2}'


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"of a later release": '{"schema_version":2}'}, StateDamaged),
        ({"ring:us-west-2": "damaged"}, StateDamaged),
        ({"api-keys": '{"schema_version":3}'}, SchemaUnsupported),
    ],
    ids=["unknown", "damaged", "newer"],
)
def test_a_backup_that_this_release_can_not_read_is_refused(
    more: dict[str, str], error: type[Exception]
) -> None:
    """Before anything is stored."""
    with pytest.raises(error):
        as_restored(backup(2, **more), "ann@desk")
