"""Invalid requests, sent as raw HTTP."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_ivs.testing import LocalIvsServer, conformance

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/us-west-2/ivs/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0123456789abcdef"
)
ARN = "arn:aws:ivs:us-west-2:123456789012:channel/abcdABCDefgh"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIvsServer]:
    """One server for all tests: no test here may change its state."""
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
    """The status, the error type (or "") and the document of the response to a raw request."""
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
    ("body", "named"),
    [
        (b"{", "JSON"),
        (b"[]", "JSON"),
        (b'"text"', "JSON"),
        (b"null", "JSON"),
        (b"\xff\xfe", "JSON"),
        ("{}".encode("utf-16"), "JSON"),
        (b'{"maxResults": NaN}', "JSON"),
        (b"[" * 200_000, "JSON"),
        (b'{"maxResults": "5"}', "maxResults"),
        (b'{"maxResults": 5.0}', "maxResults"),
        (b'{"maxResults": true}', "maxResults"),
        (b'{"maxResults": 4294967296}', "maxResults"),
        (b'{"maxResults": ' + b"9" * 5_000 + b"}", "JSON"),
        (b'{"filterByName": 5}', "filterByName"),
        (b'{"filterByName": ["a"]}', "filterByName"),
        (b'{"nextToken": "\\ud800"}', "nextToken"),
    ],
    ids=lambda value: str(value[:25]),
)
def test_invalid_json_and_wrong_json_types_are_serialization_errors(
    server: LocalIvsServer, body: bytes, named: str
) -> None:
    """400 SerializationException that names the member, or the format JSON of the whole body."""
    status, error_type, document = call(server, "/ListChannels", body)
    assert (status, error_type) == (400, "SerializationException")
    assert named in document["message"]
    assert document["exceptionMessage"] == document["message"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/GetChannel", {}, "arn"),
        ("/GetChannel", {"arn": ""}, "arn"),
        ("/GetChannel", {"arn": "abc"}, "arn"),
        ("/GetChannel", {"arn": ARN.replace("channel/", "stream-key/")}, "arn"),
        ("/GetChannel", {"arn": ARN + "\n"}, "arn"),
        ("/GetChannel", {"arn": ARN + "a" * 100}, "arn 128"),
        ("/BatchGetChannel", {"arns": []}, "arns"),
        ("/BatchGetChannel", {"arns": [ARN, "abc"]}, r"arns[1]"),
        ("/CreateChannel", {"name": "with blank"}, "name"),
        ("/CreateChannel", {"name": "a" * 129}, "name"),
        ("/CreateChannel", {"latencyMode": "ULTRA"}, "latencyMode NORMAL LOW"),
        ("/CreateChannel", {"tags": {"": "v"}}, "tags"),
        ("/CreateChannel", {"tags": {"k": "v" * 257}}, "tags.k"),
        ("/CreateChannel", {"tags": {"k*": "v"}}, "tags"),
        ("/CreateChannel", {"tags": {"aws:k": "v"}}, "aws:k"),
        ("/CreateChannel", {"tags": {"AWS:k": "v"}}, "AWS:k"),
        ("/CreateChannel", {"tags": {str(n): "" for n in range(51)}}, "tags 50"),
        (
            "/CreateChannel",
            {"multitrackInputConfiguration": {"policy": "X"}},
            "multitrackInputConfiguration.policy",
        ),
        ("/ListChannels", {"maxResults": 0}, "maxResults 1"),
        ("/ListChannels", {"maxResults": 101}, "maxResults 100"),
        ("/ListChannels", {"nextToken": "!"}, "nextToken"),
        ("/ImportPlaybackKeyPair", {"name": "no key"}, "publicKeyMaterial"),
        ("/ListStreamKeys", {"channelArn": ARN, "maxResults": 51}, "maxResults 50"),
        ("/StartViewerSessionRevocation", {"channelArn": ARN, "viewerId": ""}, "viewerId"),
        (
            "/StartViewerSessionRevocation",
            {"channelArn": ARN, "viewerId": "a", "viewerSessionVersionsLessThanOrEqualTo": -1},
            "viewerSessionVersionsLessThanOrEqualTo 0",
        ),
        ("/PutMetadata", {"channelArn": ARN, "metadata": ""}, "metadata"),
        ("/ListStreams", {"filterBy": {"health": "SICK"}}, "filterBy.health"),
    ],
)
def test_a_violated_constraint_is_named(
    server: LocalIvsServer, path: str, body: dict[str, Any], named: str
) -> None:
    """400 ValidationException whose text contains these words: the member, value or limit."""
    status, error_type, document = call(server, path, body)
    assert (status, error_type) == (400, "ValidationException")
    words = re.split(r"[\s,;]+", document["exceptionMessage"])
    assert set(named.split()) <= set(words)
    assert set(document) == {"exceptionMessage"}


def test_all_violated_constraints_are_reported_at_once(server: LocalIvsServer) -> None:
    """Three problems in one response."""
    body = {"name": "a b", "type": "X", "latencyMode": "Y"}
    _, _, document = call(server, "/CreateChannel", body)
    problems = document["exceptionMessage"].split("; ")
    assert len(problems) == 3
    for member, problem in zip(("name", "latencyMode", "type"), problems, strict=True):
        assert member in problem.split()


def test_a_refused_create_channel_creates_no_channel(server: LocalIvsServer) -> None:
    """Even if only the tags are invalid."""
    call(server, "/CreateChannel", {"tags": {"aws:k": "v"}})
    assert call(server, "/ListChannels") == (200, "", {"channels": []})


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"nextToken": null}', b'{"unknown": {"x": 1}, "maxResults": 7}'],
    ids=["no body", "empty object", "null member", "unknown member"],
)
def test_absent_null_and_unknown_members_do_not_matter(server: LocalIvsServer, body: bytes) -> None:
    """As in restJson1: null members are treated as absent, and unknown members are ignored."""
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
def test_a_request_that_matches_no_operation_is_a_404(
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
    """403 if the header is missing, malformed or for another service."""
    status, error_type, _ = call(server, "/ListChannels", authorization=authorization)
    assert (status, error_type) == (403, "MissingAuthenticationTokenException")


def test_every_operation_of_the_model_is_served_or_returns_501(
    server: LocalIvsServer,
) -> None:
    """The 501 names the operation; no operation of the model is unknown."""
    not_served = set()
    for name, operation in conformance.model()["operations"].items():
        path = operation["http"]["requestUri"].replace("{resourceArn}", ARN)
        status, error_type, document = call(
            server, path, b'{"arn": 5}', method=operation["http"]["method"]
        )
        assert error_type != "UnknownOperationException", name
        if status == 501:
            not_served.add(name)
            assert error_type == "NotImplementedException"
            assert name in document["message"]
    served = set(conformance.model()["operations"]) - not_served
    assert {"ImportPlaybackKeyPair", "BatchGetChannel", "UpdateChannel"} <= served
    assert {"CreateAdConfiguration", "GetStreamSession"} <= not_served


def test_a_body_over_one_megabyte_is_not_read(server: LocalIvsServer) -> None:
    """413, and the next request succeeds."""
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
    """The response to any body is a success or a client error."""
    status, error_type, document = call(server, path, body)
    assert status in {200, 400, 404}
    assert (status == 200) == (error_type == "")
    if error_type:
        assert document["exceptionMessage"]


def test_the_control_api_lists_its_calls(server: LocalIvsServer) -> None:
    """GET /_local/ lists them, for example for a person with a browser."""
    response = urllib3.request("GET", f"{server.url}/_local/")
    assert response.status == 200
    assert "PUT /_local/streams" in response.json()["calls"]


def test_the_health_check_reads_the_state_file(server: LocalIvsServer) -> None:
    """200 while the state can be read."""
    response = urllib3.request("GET", server.url + "/healthz")
    assert (response.status, response.json()) == (200, {"status": "ok"})
