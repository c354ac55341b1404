"""The run through outages: how it counts what it saw, and what it calls a failure."""

from __future__ import annotations

import dataclasses
import json

import pytest

from benchmarks.reliability.load import code_of
from benchmarks.reliability.observations import (
    Answer,
    Answers,
    Observations,
    Play,
    Probe,
    Row,
    Window,
    normal_after,
    row,
)
from benchmarks.reliability.report import failures, table
from benchmarks.reliability.scenarios import SCENARIOS

# The fault began at second 100, was removed at 115, and the next scenario began at 130.
WINDOW = Window(began_at=100.0, removed_at=115.0, ended_at=130.0)
STATE = "503 state_unavailable"
ALL_GRANTED = Answers({"granted": 180}, None, 0.02)


def known(sent_at: float, code: str = "granted") -> Answer:
    """An answer for a known channel after 20 ms."""
    return Answer(sent_at, is_known=True, code=code, took_seconds=0.02)


def a_row(**changes: object) -> Row:
    """A scenario in which everything went well."""
    ready = {"ready": 60}
    good = Row("full disk", 15.0, ALL_GRANTED, ALL_GRANTED, ready, ready, 800, {}, 0.0)
    return dataclasses.replace(good, **changes)  # type: ignore[arg-type] # Any member.


def test_answers_count_while_the_fault_is_there_and_plays_until_the_next_scenario() -> None:
    """Each in the scenario in which it was sent."""
    seen = Observations(
        answers=[
            known(99.9, STATE),
            known(100.0),
            known(106.5, STATE),
            known(114.0, STATE),
            Answer(104.0, is_known=False, code="no_answer", took_seconds=10.0),
            known(115.0, STATE),
            known(115.5),
        ],
        plays=[Play(99.0, "k1", 403), Play(110.0, "k1", 200), Play(129.0, "k2", 403)],
        probes=[
            Probe(101.0, of_replica=False, code="ready"),
            Probe(107.0, of_replica=False, code=STATE),
            Probe(107.0, of_replica=True, code="ready"),
            Probe(116.0, of_replica=True, code=STATE),
        ],
    )

    assert row("state away", seen, WINDOW) == Row(
        "state away",
        fault_seconds=15.0,
        known=Answers({"granted": 1, STATE: 2}, 6.5, 0.02),
        new=Answers({"no_answer": 1}, 4.0, 10.0),
        readyz={"ready": 1, STATE: 1},
        replica={"ready": 1},
        plays=2,
        refused_plays={"k2": 1},
        normal_after_seconds=0.5,
    )


@pytest.mark.parametrize(
    ("answers", "seconds"),
    [
        ([known(110.0, STATE), known(115.1), known(116.0)], 0.0),
        ([known(115.1, STATE), known(115.2), known(116.0, STATE), known(118.0)], 3.0),
        ([known(115.1), known(129.0, STATE)], None),  # The last one was refused.
        ([known(110.0)], None),  # Nothing was requested afterwards.
        ([known(115.1), known(130.0, STATE)], 0.0),  # That is another scenario.
    ],
)
def test_it_is_normal_from_the_first_request_after_the_last_refusal(
    answers: list[Answer], seconds: float | None
) -> None:
    """In seconds since the removal of the fault."""
    assert normal_after(answers, WINDOW) == seconds


def test_silence_is_not_normal() -> None:
    """Nor is a refusal."""
    seen = Observations(answers=[known(100.0)])

    assert seen.is_normal_since(99.0)
    assert not seen.is_normal_since(101.0)
    seen.answers.append(known(100.5, STATE))
    assert not seen.is_normal_since(99.0)


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (200, b"{}", "granted"),
        (503, json.dumps({"code": "ivs_unavailable"}).encode(), "503 ivs_unavailable"),
        (500, b"<h1>Internal Server Error</h1>", "500 without a code"),
        (502, b"[]", "502 without a code"),
        (0, b"", "no_answer"),
    ],
)
def test_an_answer_has_the_code_of_its_problem_document(
    status: int, content: bytes, code: str
) -> None:
    """An answer of something else has none."""
    assert code_of(status, content, of_success="granted") == code


def test_a_run_without_faults_of_the_service_has_no_failures() -> None:
    """A revocation is announced to refuse tokens of the one revoked key."""
    revoked = a_row(refused_plays={"k1": 150})

    assert failures({"full_disk": a_row(), "revocation": revoked}) == []


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("full_disk", a_row(refused_plays={"k1": 1})),
        ("revocation", a_row(refused_plays={"k1": 150, "k2": 1})),
        ("full_disk", a_row(normal_after_seconds=None)),
        ("full_disk", a_row(plays=0)),
        ("full_disk", a_row(new=Answers({"500 internal_error": 1}, 0.0, 0.02))),
        ("full_disk", a_row(known=Answers({"502 without a code": 1}, 0.0, 0.02))),
    ],
)
def test_each_fault_of_the_service_is_a_failure(name: str, changed: Row) -> None:
    """A token that should play, a recovery that does not come, an answer without a code."""
    assert len(failures({name: changed})) == 1


def test_the_table_says_what_was_refused_since_when_and_when_all_was_normal() -> None:
    """The status 503, which nearly all refusals have, is left out."""
    changed = a_row(
        known=Answers({"granted": 75, STATE: 105}, 6.26, 0.02), readyz={"ready": 15, STATE: 45}
    )

    assert table({"state_away": changed}).splitlines()[2] == (
        "| full disk | 15 s | 75; 105 `state_unavailable`, from 6.3 s | all 180"
        " | `ready` 25 %, `state_unavailable` 75 % | `ready` 100 % | 800, 0 | 0.0 s |"
    )


def test_each_scenario_has_a_name_of_its_own() -> None:
    """The rows of a run are stored by it."""
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
