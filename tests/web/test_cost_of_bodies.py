"""A body costs a bounded answer, whatever is wrong with it."""

from __future__ import annotations

import itertools
import json
import string
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem

SINGLE = "/v1/playback-urls"
BATCH = "/v1/playback-urls:batch"
KIB = 1_024


def post(deployment: Deployment, path: str, body: object, key: str | None = None) -> TestResponse:
    """The response to this body: JSON without spaces, or a text as it is."""
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    return deployment.client().post(
        path,
        data=text,
        content_type="application/json",
        headers={"Authorization": f"Bearer {key or deployment.key}"},
    )


def short_names(number: int) -> list[str]:
    """That many different member names of one to three letters."""
    every = (
        "".join(letters)
        for length in (1, 2, 3)
        for letters in itertools.product(string.ascii_letters, repeat=length)
    )
    return list(itertools.islice(every, number))


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        # 60 KB each: 8,000 unknown members, 30,000 origins of a wrong type, one long name.
        (dict.fromkeys(short_names(8_000), 0), [("", "too_many_members")]),
        (
            {"channel": "demo", "allowed_origins": 30_000 * [1]},
            [("allowed_origins.0", "string_type")],
        ),
        ({"channel": "demo", 60_000 * "x": 1}, [(80 * "x" + "…", "unknown_field")]),
    ],
)
def test_a_small_body_gets_a_small_problem_document(
    deployment: Deployment, body: dict[str, object], errors: list[tuple[str, str]]
) -> None:
    """Below 1 KiB; the answer to 64 KB of unknown members had 5.8 MB."""
    response = post(deployment, SINGLE, body)
    document = assert_problem(response, "invalid_request")
    assert [(error["field"], error["rule"]) for error in document["errors"]] == errors
    assert len(response.data) < KIB


@pytest.mark.parametrize("value", ["[]", "{}", '"["', '{"a":[1]}'])
def test_a_batch_of_many_small_values_is_not_parsed(deployment: Deployment, value: str) -> None:
    """1 MB of them took the parser 0.3 s, in which no other request had its turn."""
    body = '{"requests":[' + ",".join(20_000 * [value]) + "]}"
    response = post(deployment, BATCH, body)
    document = assert_problem(response, "invalid_request")
    assert [error["rule"] for error in document["errors"]] == ["too_many_values"]


def test_the_largest_batch_has_fewer_brackets_than_are_allowed(own_deployment: Deployment) -> None:
    """100 requests with 50 IPv6 origins each: 5,202 brackets. A token has no room for 100."""
    origins = [f"https://[2001:db8::{number:x}]" for number in range(50)]
    requests = [{"channel": "demo", "allowed_origins": origins} for _ in range(100)]
    results = post(own_deployment, BATCH, {"requests": requests}).get_json()["results"]
    assert all(result["token"] for result in results)


def test_the_first_twenty_errors_are_listed_and_the_others_are_counted(
    deployment: Deployment,
) -> None:
    """39 unknown members: 20 are listed and 19 are not."""
    body = {"channel": "demo", **dict.fromkeys(short_names(39), 0)}
    document = assert_problem(post(deployment, SINGLE, body), "invalid_request")
    assert [error["field"] for error in document["errors"]] == short_names(20)
    assert document["errors_omitted"] == 19


def test_no_error_is_omitted_up_to_twenty(deployment: Deployment) -> None:
    """Then the document has no such member."""
    body = {"channel": "demo", **dict.fromkeys(short_names(20), 0)}
    document = assert_problem(post(deployment, SINGLE, body), "invalid_request")
    assert len(document["errors"]) == 20
    assert "errors_omitted" not in document


def test_origins_outside_of_a_grant_are_listed_in_part(own_deployment: Deployment) -> None:
    """A hundred origins of 300 characters: the answer is a third of the body."""
    key = own_deployment.new_key("website", "website")
    origins = [f"https://{number:0>3}{288 * 'x'}" for number in range(100)]
    body = {"channel": "demo", "viewer_id": "viewer-1", "allowed_origins": origins}
    response = post(own_deployment, SINGLE, body, key)
    document = assert_problem(response, "not_entitled")
    assert len(document["errors"]) == 20
    assert document["errors_omitted"] == 80
    assert len(response.data) < 10 * KIB


@pytest.mark.parametrize(
    "request_of_batch",
    [
        dict.fromkeys(short_names(1_500), 0),
        dict.fromkeys(short_names(40), 0),
        {"channel": "demo", "allowed_origins": 5_000 * [1]},
        {f"{number:0>2}{250 * 'x'}": 0 for number in range(39)},
    ],
)
def test_a_batch_gets_an_answer_that_is_not_much_larger_than_its_longest_body(
    deployment: Deployment, request_of_batch: dict[str, Any]
) -> None:
    """A hundred such requests in at most 1 MiB; an answer had 87 MB and took 11 s."""
    response = post(deployment, BATCH, {"requests": 100 * [request_of_batch]})
    assert response.status_code == 200
    assert len(response.get_json()["results"]) == 100
    assert len(response.data) < 1_024 * KIB
