"""The simulated fleet on AWS: documents in a table, private keys in Secrets Manager or KMS.

The real code makes each call. A process may be parked, killed or cut off between any two of them,
answers are lost after their effect, and the services throttle.
"""

from __future__ import annotations

import pytest

from tests.fleet.cooperative_threads import Actor
from tests.fleet.fleet import TO_COMPLETION
from tests.fleet.links import Condition, Link
from tests.fleet.memory_aws import MemoryKms, MemorySecrets
from tests.fleet.memory_table import MemoryTable
from tests.fleet.mutants import ViewWithoutMaxAge
from tests.fleet.processes import AnyVault, Parts
from tests.fleet.schedule import simulate
from tests.support.clock import ManualClock
from tests.support.sizes import sized
from tokensvc.errors import CustodyUnavailable
from tokensvc.keyring.signers import StoredKey
from tokensvc.state.base import NEW, Document, Version

STEPS = sized(short=1_000, full=20_000)


@pytest.mark.parametrize("vault", [MemorySecrets, MemoryKms])
def test_every_token_is_accepted_until_it_expires_on_aws(vault: type[AnyVault]) -> None:
    """A run with all rules, in which something happens."""
    report = simulate(1, STEPS, Parts(store=MemoryTable, vault=vault))

    assert report.broken == (), report
    assert report.tokens >= 50
    assert report.switches >= 5
    assert report.retirements >= 5
    assert report.crashes >= 5
    assert report.refusals >= 20


def test_a_fleet_on_aws_with_one_rule_left_out_breaks_a_token() -> None:
    """The simulation on AWS can fail: views without a maximum age break rule 3."""
    parts = Parts(store=MemoryTable, vault=MemoryKms, view=ViewWithoutMaxAge)
    assert any(simulate(seed, 1_000, parts).broken for seed in range(10))


def test_a_save_whose_answer_is_lost_is_recognized_although_another_replaced_it() -> None:
    """The answer to the head is lost, and others save twice before the request is sent again."""
    table, link, saved = MemoryTable(), Link(), list[Version]()
    slow = Actor(lambda: saved.append(table.open(link).save("ring", "mine", replacing=NEW)))
    while table.version("ring") == NEW:
        slow.resume(0)
    link.condition = Condition.LOSES_ONE_ANSWER
    mine = table.version("ring")
    other = table.open()
    last = other.save("ring", "3", replacing=other.save("ring", "2", replacing=mine))
    slow.resume(TO_COMPLETION)

    assert link.condition is Condition.UP  # It lost that answer.
    assert saved == [mine]
    assert other.load("ring") == Document("3", last)


def test_a_document_is_read_whose_body_is_replaced_between_its_head_and_its_body() -> None:
    """The reader has the head of version 1 when its body is deleted, and reads version 2."""
    table, read = MemoryTable(), list[Document | None]()
    first = table.open().save("ring", "1", replacing=NEW)
    reader = Actor(lambda: read.append(table.open().load("ring")))
    reader.resume(2)  # The request for the head, and its answer.
    second = table.open().save("ring", "2", replacing=first)
    reader.resume(TO_COMPLETION)

    assert read == [Document("2", second)]


def test_kms_makes_two_keys_when_the_answer_to_the_first_is_lost_and_one_is_used() -> None:
    """The one without an alias signs nothing. KMS knows no idempotent request."""
    kms, link, made = MemoryKms(), Link(), list[StoredKey]()
    maker = Actor(lambda: made.append(kms.custody(ManualClock(), link).create("k-1")))
    while not kms.keys:
        maker.resume(0)
    link.condition = Condition.LOSES_ONE_ANSWER
    maker.resume(TO_COMPLETION)

    assert len(kms.keys) == 2
    assert list(kms.aliases.values()) == [made[0].handle]


def test_of_two_processes_that_make_one_key_the_slower_discards_its_own() -> None:
    """Both made one, and the alias belongs to the faster."""
    kms, made = MemoryKms(), list[StoredKey]()
    slow = Actor(lambda: made.append(kms.custody(ManualClock()).create("k-1")))
    while not kms.keys:
        slow.resume(0)
    fast = kms.custody(ManualClock()).create("k-1")
    slow.resume(TO_COMPLETION)

    assert made == [fast]
    states = {arn: key.state for arn, key in kms.keys.items()}
    assert states.pop(str(fast.handle)) == "Enabled"
    assert list(states.values()) == ["PendingDeletion"]


@pytest.mark.parametrize("vault", [MemorySecrets(), MemoryKms()], ids=["secrets", "kms"])
def test_a_throttled_custody_is_unavailable_and_makes_nothing(vault: AnyVault) -> None:
    """The caller tries again later."""
    custody = vault.custody(ManualClock(), Link(Condition.THROTTLES))
    with pytest.raises(CustodyUnavailable) as refusal:
        custody.create("k-1")
    assert refusal.value.code == "custody_unavailable"
    assert list(vault.custody(ManualClock()).key_ids()) == []
