"""Saves and reads of documents in DynamoDB while answers are lost and other processes save."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.state.processes import PROJECT
from tests.support.documents import stored
from tests.support.dynalite import Dynalite
from tests.support.lossy_proxy import Call, Fate, LossyProxy, lossy_proxy
from tests.support.tables import Table, table_with_state
from tokensvc.aws import AwsTerms
from tokensvc.errors import StateConflict, StateDamaged, StateUnavailable
from tokensvc.state.base import NEW, Document, Version
from tokensvc.state.dynamodb import DynamoDbState
from tokensvc.state.dynamodb_items import body_partition

CALLS_OF_A_SAVE = ["GetItem", "PutItem", "PutItem", "Query", "BatchWriteItem"]
HEAD = 2
"""The index of the call that stores the head, which is the save."""


@pytest.fixture
def table(dynalite: Dynalite) -> Iterator[Table]:
    """A table in dynalite with version 1 of the document `ring`."""
    with table_with_state(dynalite.url) as table:
        table.state().save("ring", "first", replacing=NEW)
        yield table


@pytest.fixture
def proxy(table: Table) -> Iterator[LossyProxy]:
    """A proxy in front of the table."""
    with lossy_proxy(table.url) as proxy:
        yield proxy


def lossy(table: Table, proxy: LossyProxy) -> DynamoDbState:
    """A state that reaches the table through the proxy and has inspected it."""
    state = table.state(proxy.url)
    state.version("ring")
    proxy.calls.clear()
    return state


def lose(proxy: LossyProxy, index: int, fate: Fate) -> None:
    """Lose the request with that index, or its answer, and no other."""
    left = [index]

    def decide(_: Call) -> Fate:
        left[0] -= 1
        return fate if left[0] == -1 else Fate.ANSWERED

    proxy.decide = decide


def bodies(table: Table) -> list[str]:
    """The sort keys of all parts of bodies of the document `ring`, without their nonces."""
    calls = table.state()._inspected_calls()
    keys = [str(item["sk"]["S"]) for item in calls.items(body_partition("ring"))]
    return [f"{key.split('/')[0].lstrip('0')}/{key.split('/')[2]}" for key in keys]


def test_a_save_makes_five_calls(table: Table, proxy: LossyProxy) -> None:
    """docs/state-dynamodb.md calculates what they cost."""
    state = lossy(table, proxy)
    state.save("ring", "second", replacing=state.version("ring"))
    assert [call.operation for call in proxy.calls[1:]] == CALLS_OF_A_SAVE
    assert proxy.calls[1 + HEAD].is_of_head
    assert bodies(table) == ["2/0000"]


@pytest.mark.parametrize("fate", [Fate.REQUEST_LOST, Fate.ANSWER_LOST])
@pytest.mark.parametrize("index", range(5))
def test_a_lost_call_loses_no_document_and_the_next_save_deletes_what_it_left(
    index: int, fate: Fate, table: Table, proxy: LossyProxy
) -> None:
    """A save is refused if its head may not be stored, and succeeds if it is."""
    state = lossy(table, proxy)
    first = table.state().version("ring")
    lose(proxy, index, fate)
    is_stored = index > HEAD or (index == HEAD and fate is Fate.ANSWER_LOST)
    if is_stored:
        saved = state.save("ring", "second", replacing=first)
        assert table.state().load("ring") == Document("second", saved)
    else:
        with pytest.raises(StateUnavailable):
            state.save("ring", "second", replacing=first)
        assert table.state().load("ring") == Document("first", first)
    proxy.decide = lambda _: Fate.ANSWERED
    second = state.save("ring", "again", replacing=state.version("ring"))
    third = state.save("ring", "and again", replacing=second)
    assert stored(table.state(), "ring") == ("and again", third.number)
    assert bodies(table) == [f"{third.number}/0000"]


def test_a_save_that_was_sent_twice_succeeds_once(table: Table, proxy: LossyProxy) -> None:
    """boto3 repeats a request without an answer, and the condition fails for the second one."""
    state = table.state(proxy.url, terms=AwsTerms(max_attempts=2))
    first = state.version("ring")
    proxy.calls.clear()
    lose(proxy, HEAD, Fate.ANSWER_LOST)
    saved = state.save("ring", "second", replacing=first)
    assert [call.is_of_head for call in proxy.calls].count(True) == 2
    assert table.state().load("ring") == Document("second", saved)
    assert saved.number == 2


@pytest.mark.parametrize("later_saves", [1, 7])
def test_a_save_whose_answer_is_lost_and_that_others_replaced_is_a_win(
    later_saves: int, table: Table, proxy: LossyProxy
) -> None:
    """The head keeps the last eight nonces, so nothing is guessed."""
    state = lossy(table, proxy)
    first = table.state().version("ring")
    proxy.after_forwarding = lambda _: save_times(table, later_saves)
    lose(proxy, HEAD, Fate.ANSWER_LOST)
    saved = state.save("ring", "second", replacing=first)
    assert saved.number == 2
    assert stored(table.state(), "ring") == (f"later {later_saves}", 2 + later_saves)
    with pytest.raises(StateConflict):
        state.save("ring", "third", replacing=saved)


def test_a_save_whose_nonce_is_no_longer_kept_is_not_guessed(
    table: Table, proxy: LossyProxy
) -> None:
    """Neither a win nor a conflict is certain after eight more saves."""
    state = lossy(table, proxy)
    first = table.state().version("ring")
    proxy.after_forwarding = lambda _: save_times(table, 8)
    lose(proxy, HEAD, Fate.ANSWER_LOST)
    with pytest.raises(StateUnavailable, match="not known"):
        state.save("ring", "second", replacing=first)
    assert stored(table.state(), "ring") == ("later 8", 10)


def test_a_save_that_never_arrived_and_whose_number_another_has_is_a_conflict(
    table: Table, proxy: LossyProxy
) -> None:
    """The request can't win any more, so its body is deleted."""
    state = lossy(table, proxy)
    first = table.state().version("ring")
    lost: list[Call] = []

    def decide(call: Call) -> Fate:
        if call.is_of_head and not lost:
            lost.append(call)
            save_times(table, 1)
            return Fate.REQUEST_LOST
        return Fate.ANSWERED

    proxy.decide = decide
    with pytest.raises(StateConflict):
        state.save("ring", "second", replacing=first)
    assert stored(table.state(), "ring") == ("later 1", 2)
    assert bodies(table) == ["2/0000"]


def test_a_save_while_the_table_stays_away_reports_the_first_failure(
    table: Table, proxy: LossyProxy
) -> None:
    """Whether it was stored can't be read either. The next command reads that it was."""
    state = lossy(table, proxy)
    first = table.state().version("ring")
    is_away = False

    def decide(call: Call) -> Fate:
        nonlocal is_away
        fate = Fate.REQUEST_LOST if is_away else Fate.ANSWERED
        if call.is_of_head:
            is_away, fate = True, Fate.ANSWER_LOST
        return fate

    proxy.decide = decide
    with pytest.raises(StateUnavailable, match="PutItem"):
        state.save("ring", "second", replacing=first)
    assert stored(table.state(), "ring") == ("second", 2)


def test_processes_that_race_have_one_winner_for_each_version(table: Table) -> None:
    """Each tries to be the first to save each of the versions 2 to 8."""
    command = [sys.executable, "-m", "tests.state.dynamodb_process"]
    processes = [
        subprocess.Popen(
            [*command, table.url, table.address.table, writer, "8"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for writer in ("one", "two")
    ]
    lines = [line for each in processes for line in each.communicate(timeout=60)[0].splitlines()]
    assert [each.returncode for each in processes] == [0, 0]
    assert sorted(lines) == sorted(f"saved {number}" for number in range(2, 9))
    assert table.state().version("ring").number == 8
    assert bodies(table) == ["8/0000"]


def test_a_reader_whose_body_is_replaced_reads_the_new_one(table: Table, proxy: LossyProxy) -> None:
    """Between its two reads, another process saves and deletes the body."""
    state = lossy(table, proxy)

    def decide(call: Call) -> Fate:
        if call.operation == "Query" and len(proxy.calls) == 2:
            save_times(table, 1)
        return Fate.ANSWERED

    proxy.decide = decide
    assert stored(state, "ring") == ("later 1", 2)
    assert [call.operation for call in proxy.calls] == ["GetItem", "Query", "GetItem", "Query"]


def test_a_document_without_its_body_is_damaged(table: Table) -> None:
    """It is not one that was never saved."""
    calls = table.state()._inspected_calls()
    for item in calls.items(body_partition("ring")):
        calls.write([{"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}}])
    with pytest.raises(StateDamaged) as refusal:
        table.state().load("ring")
    assert "docs/state-dynamodb.md" in refusal.value.hint
    assert table.state().version("ring").number == 1


def test_a_body_beyond_the_limit_of_an_item_is_stored_in_parts(table: Table) -> None:
    """400 KB is the limit, and 1 MB that of one answer. Replaced bodies lose all their parts."""
    state = table.state()
    long = "é☃𝄞" * 300_000
    second = state.save("ring", long, replacing=state.version("ring"))
    assert state.load("ring") == Document(long, second)
    assert bodies(table) == [f"2/{part:04}" for part in range(10)]
    state.save("ring", "short", replacing=second)
    assert bodies(table) == ["3/0000"]


def save_times(table: Table, count: int) -> Version:
    """Save the document that often, as another process; the last version."""
    state = table.state()
    version = state.version("ring")
    for number in range(1, count + 1):
        version = state.save("ring", f"later {number}", replacing=version)
    return version
