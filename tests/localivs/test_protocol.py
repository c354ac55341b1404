"""Requests that no well-behaved client sends, as raw HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import shape_validator
from tests.support.local_ivs import LocalIvsServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/us-west-2/ivs/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0123456789abcdef"
)
ARN = "arn:aws:ivs:us-west-2:123456789012:channel/abcdABCDefgh"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIvsServer]:
    """One server for all: nothing here is to change its state."""
    with LocalIvsServer(tmp_path_factory.mktemp("local-ivs")) as server:
        yield server


def call(
    server: LocalIvsServer,
    path: str,
    body: bytes | str | dict[str, Any] = b"{}",
    *,
    method: str = "POST",
    authorization: str | None = SIGNED,
) -> tuple[int, str, dict[str, Any]]:
    """The status, the error type (or "") and the document that a raw request gets."""
    if isinstance(body, dict):
        body = json.dumps(body)
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    response = urllib3.request(
        method, server.url + path, body=body, headers=headers, retries=False, redirect=False
    )
    assert response.headers["x-amzn-RequestId"]
    error_type = response.headers.get("x-amzn-ErrorType", "")
    document: dict[str, Any] = response.json() if response.data else {}
    return response.status, error_type, document


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        "{}".encode("utf-16"),
        b'{"maxResults": NaN}',
        b"[" * 200_000,
        b'{"maxResults": "5"}',
        b'{"maxResults": 5.0}',
        b'{"maxResults": true}',
        b'{"maxResults": 4294967296}',
        b'{"maxResults": ' + b"9" * 5_000 + b"}",
        b'{"filterByName": 5}',
        b'{"filterByName": ["a"]}',
        b'{"nextToken": "\\ud800"}',
    ],
    ids=lambda body: str(body[:25]),
)
def test_what_is_not_json_of_the_right_types_is_a_serialization_error(
    server: LocalIvsServer, body: bytes
) -> None:
    """400 SerializationException with a text that says what is expected."""
    status, error_type, document = call(server, "/ListChannels", body)
    assert (status, error_type) == (400, "SerializationException")
    assert "JSON" in document["message"] or "surrogate" in document["message"]
    assert document["exceptionMessage"] == document["message"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/GetChannel", {}, "arn"),
        ("/GetChannel", {"arn": ""}, "arn"),
        ("/GetChannel", {"arn": "abc"}, "arn"),
        ("/GetChannel", {"arn": ARN.replace("channel/", "stream-key/")}, "arn"),
        ("/GetChannel", {"arn": ARN + "\n"}, "arn"),
        ("/GetChannel", {"arn": ARN + "a" * 100}, "at most 128"),
        ("/BatchGetChannel", {"arns": []}, "arns"),
        ("/BatchGetChannel", {"arns": [ARN, "abc"]}, r"arns[1]"),
        ("/CreateChannel", {"name": "with blank"}, "name"),
        ("/CreateChannel", {"name": "a" * 129}, "name"),
        ("/CreateChannel", {"latencyMode": "ULTRA"}, "NORMAL, LOW"),
        ("/CreateChannel", {"tags": {"": "v"}}, "tags"),
        ("/CreateChannel", {"tags": {"k": "v" * 257}}, "tags.k"),
        ("/CreateChannel", {"tags": {"k*": "v"}}, "tags"),
        ("/CreateChannel", {"tags": {"aws:k": "v"}}, "reserved"),
        ("/CreateChannel", {"tags": {"AWS:k": "v"}}, "reserved"),
        ("/CreateChannel", {"tags": {str(n): "" for n in range(51)}}, "at most 50"),
        ("/CreateChannel", {"multitrackInputConfiguration": {"policy": "X"}}, "policy"),
        ("/ListChannels", {"maxResults": 0}, "at least 1"),
        ("/ListChannels", {"maxResults": 101}, "at most 100"),
        ("/ListChannels", {"nextToken": "!"}, "nextToken"),
        ("/ImportPlaybackKeyPair", {"name": "no key"}, "publicKeyMaterial"),
        ("/ListStreamKeys", {"channelArn": ARN, "maxResults": 51}, "at most 50"),
        ("/StartViewerSessionRevocation", {"channelArn": ARN, "viewerId": ""}, "viewerId"),
        (
            "/StartViewerSessionRevocation",
            {"channelArn": ARN, "viewerId": "a", "viewerSessionVersionsLessThanOrEqualTo": -1},
            "at least 0",
        ),
        ("/PutMetadata", {"channelArn": ARN, "metadata": ""}, "metadata"),
        ("/ListStreams", {"filterBy": {"health": "SICK"}}, "filterBy.health"),
    ],
)
def test_a_broken_constraint_of_the_model_is_named(
    server: LocalIvsServer, path: str, body: dict[str, Any], named: str
) -> None:
    """400 ValidationException that names the member or the rule."""
    status, error_type, document = call(server, path, body)
    assert (status, error_type) == (400, "ValidationException")
    assert named in document["exceptionMessage"]
    assert set(document) == {"exceptionMessage"}


def test_all_broken_constraints_are_told_at_once(server: LocalIvsServer) -> None:
    """Three problems, one answer."""
    body = {"name": "a b", "type": "X", "latencyMode": "Y"}
    _, _, document = call(server, "/CreateChannel", body)
    for member in ("name", "type", "latencyMode"):
        assert f"Request member: {member} " in document["exceptionMessage"]


def test_nothing_was_created_by_what_was_refused(server: LocalIvsServer) -> None:
    """A refused CreateChannel leaves no channel behind, tags or not."""
    call(server, "/CreateChannel", {"tags": {"aws:k": "v"}})
    assert call(server, "/ListChannels") == (200, "", {"channels": []})


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"nextToken": null}', b'{"unknown": {"x": 1}, "maxResults": 7}'],
    ids=["no body", "empty object", "null member", "unknown member"],
)
def test_absent_null_and_unknown_members_do_not_matter(server: LocalIvsServer, body: bytes) -> None:
    """As in restJson1: null is absent, and what is unknown is ignored."""
    assert call(server, "/ListChannels", body) == (200, "", {"channels": []})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/NoSuchOperation"),
        ("POST", "/listchannels"),
        ("POST", "/ListChannels/"),
        ("GET", "/ListChannels"),
        ("PUT", "/tags/" + ARN),
        ("POST", "/tags/"),
        ("DELETE", "/some/other/path"),
    ],
)
def test_a_request_that_is_no_operation_is_a_404(
    server: LocalIvsServer, method: str, path: str
) -> None:
    """UnknownOperationException; the API is case-sensitive."""
    status, error_type, document = call(server, path, method=method)
    assert (status, error_type) == (404, "UnknownOperationException")
    assert path in document["message"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer abc",
        "AWS4-HMAC-SHA256",
        SIGNED.replace("/ivs/", "/s3/"),
        SIGNED.replace("20270115", "today"),
        SIGNED.partition(", SignedHeaders")[0],
        SIGNED.replace("Credential=", "Credentials="),
    ],
)
def test_an_unsigned_request_is_refused(server: LocalIvsServer, authorization: str | None) -> None:
    """403, whether the header is missing, garbled or for another service."""
    status, error_type, _ = call(server, "/ListChannels", authorization=authorization)
    assert (status, error_type) == (403, "MissingAuthenticationTokenException")


def test_every_operation_of_the_model_is_served_or_refused_by_name(
    server: LocalIvsServer,
) -> None:
    """An operation that isn't served is one 501 that names it; none is unknown."""
    not_served = set()
    for name, operation in shape_validator.model()["operations"].items():
        path = operation["http"]["requestUri"].replace("{resourceArn}", ARN)
        status, error_type, document = call(
            server, path, b'{"arn": 5}', method=operation["http"]["method"]
        )
        assert error_type != "UnknownOperationException", name
        if status == 501:
            not_served.add(name)
            assert document["message"] == f"Local IVS does not serve {name}."
    served = set(shape_validator.model()["operations"]) - not_served
    assert {"ImportPlaybackKeyPair", "BatchGetChannel", "UpdateChannel"} <= served
    assert {"CreateAdConfiguration", "GetStreamSession"} <= not_served


def test_a_body_over_one_megabyte_is_not_read(server: LocalIvsServer) -> None:
    """413, and the next request is served."""
    status, error_type, _ = call(server, "/ListChannels", b" " * (1024 * 1024 + 1))
    assert (status, error_type) == (413, "RequestEntityTooLargeException")
    assert call(server, "/ListChannels")[0] == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["arn", "arns", "name", "tags", "maxResults", "nextToken", "type"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
PATHS = st.sampled_from(["/GetChannel", "/BatchGetChannel", "/ListChannels", "/DeleteChannel"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=PATHS, body=JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_no_body_makes_the_server_fail(server: LocalIvsServer, path: str, body: bytes) -> None:
    """Whatever is sent, the answer is a success or a clear refusal."""
    status, error_type, document = call(server, path, body)
    assert status in {200, 400, 404}
    assert (status == 200) == (error_type == "")
    if error_type:
        assert document["exceptionMessage"]


def test_the_control_api_lists_its_calls(server: LocalIvsServer) -> None:
    """A person who opens it in a browser finds what there is."""
    response = urllib3.request("GET", f"{server.url}/_local/")
    assert response.status == 200
    assert "PUT /_local/streams" in response.json()["calls"]


def test_health_is_told_from_the_state_file(server: LocalIvsServer) -> None:
    """200 while the state can be read."""
    response = urllib3.request("GET", server.url + "/healthz")
    assert (response.status, response.json()) == (200, {"status": "ok"})
