"""A caller learns nothing about a channel that none of its grants covers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.web.problem_shape import assert_problem, assert_problem_document

CHANNELS = [
    "demo",
    "lobby",
    "no-such-name",
    "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",
    "arn:aws:ivs:us-west-2:210987654321:channel/abcdEFGHijkl",
    "arn:aws:ivs:eu-west-1:123456789012:channel/abcdEFGHijkl",
]
"""Two configured names, one that is not, and ARNs in this and in other accounts and regions."""


@pytest.fixture
def authorization(own_deployment: Deployment) -> dict[str, str]:
    """The header of a caller whose one grant covers none of these channels."""
    return {"Authorization": f"Bearer {own_deployment.new_key('outside', 'other-region')}"}


def without_request_id(document: dict[str, Any]) -> dict[str, Any]:
    """What all refusals must have in common."""
    return {name: value for name, value in document.items() if name != "request_id"}


def test_every_channel_that_is_not_granted_gets_the_same_answer(
    own_deployment: Deployment, authorization: dict[str, str]
) -> None:
    """Configured or not, by name and by ARN: no existence, no ARN and no account is shown."""
    client = own_deployment.client()
    answers = [
        client.post("/v1/playback-urls", json={"channel": channel}, headers=authorization)
        for channel in (*CHANNELS, str(own_deployment.channel))
    ]
    documents = [without_request_id(assert_problem(each, "not_entitled")) for each in answers]
    assert all(document == documents[0] for document in documents)
    assert "arn:" not in str(documents[0])
    audited = [event.channel_arn for event in own_deployment.audit.events]
    assert audited[0] == str(own_deployment.channel)  # The operator sees what the name stands for.
    assert audited[2] is None


def test_a_batch_shows_no_name_either(
    own_deployment: Deployment, authorization: dict[str, str]
) -> None:
    """Each request in it gets the same answer."""
    body = {"requests": [{"channel": channel} for channel in CHANNELS]}
    response = own_deployment.client().post(
        "/v1/playback-urls:batch", json=body, headers=authorization
    )
    results = response.get_json()["results"]
    assert len(results) == 6
    for result in results:
        assert_problem_document(result, "not_entitled")
        assert without_request_id(result) == without_request_id(results[0])
        assert "arn:" not in str(result)
