"""The OpenAPI document is current, valid, and has every route, code and member."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from werkzeug.test import TestResponse

from tests.support.deployment import Deployment
from tests.web.problem_shape import STATUS_OF_CODE
from tokensvc.access.callers import Scope
from tokensvc.web.openapi.document import document, text

FILE = Path(__file__).parents[3] / "docs/openapi.json"
PAGES = {"/openapi.json", "/docs", "/docs/{name}", "/ops", "/ops/{name}"}
"""For people: they describe the API or show its answers, and don't belong to it."""
OF_NO_ROUTE = {"method_not_allowed"}
OF_SERVER = {"request_timeout", "uri_too_long", "headers_too_large", "transfer_coding_unknown"}
DOCUMENT = document()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The method, the path and the description of each operation."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def check(schema: Mapping[str, Any], value: object) -> None:
    """Fail unless the value follows the schema, which may refer to others of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}
    Draft202012Validator(whole).validate(value)


def test_the_file_is_current() -> None:
    """To write it again: `python -m tokensvc.web.openapi.document > docs/openapi.json`.

    The order of members depends on the release of pydantic.
    """
    assert json.loads(FILE.read_text()) == json.loads(text())


def test_the_document_is_openapi_3_1() -> None:
    """As the validator of others says."""
    assert DOCUMENT["openapi"] == "3.1.0"
    validate(DOCUMENT)


def test_it_has_every_route_of_the_application(deployment: Deployment) -> None:
    """A new route needs a row in `tokensvc/web/openapi/operations.py`."""
    served = {
        (method.lower(), rule.rule.replace("<", "{").replace(">", "}"))
        for rule in deployment.create_app(deployment.service_with_ops_page()).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(method, path) for method, path, _ in operations()}
    assert described == {(method, path) for method, path in served if path not in PAGES}


def test_it_has_every_code() -> None:
    """Each with an example, whose members are those of a problem document."""
    examples = DOCUMENT["components"]["examples"]
    assert set(examples) == set(STATUS_OF_CODE) - OF_NO_ROUTE | OF_SERVER
    for code, example in examples.items():
        check({"$ref": "#/components/schemas/Problem"}, example["value"])
        assert example["value"]["code"] == code


def test_every_example_follows_its_schema() -> None:
    """Of bodies and of answers."""
    for _, path, operation in operations():
        contents = [response["content"] for response in operation["responses"].values()]
        if "requestBody" in operation:
            contents.append(operation["requestBody"]["content"])
        for content in contents:
            for media in content.values():
                values = [media["example"]] if "example" in media else []
                named = media.get("examples", {}).values()
                values += [example["value"] for example in named if "value" in example]
                assert values or "examples" in media or media["schema"] == {"type": "string"}, path
                for value in values:
                    check(media["schema"], value)


@pytest.fixture
def client(deployment: Deployment) -> FlaskClient:
    """A client with an API key that has every scope."""
    number = len(deployment.service.api_keys.latest().value.keys)
    scopes: tuple[Scope, ...] = ("mint", "moderate", "operate")
    key = deployment.new_key(f"all {number}", "open", scopes=scopes)
    client = deployment.client_of(deployment.service_with_ops_page())
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def assert_described(response: TestResponse, name: str) -> dict[str, Any]:
    """Assert that the answer has exactly the members of that schema; return it."""
    schema = DOCUMENT["components"]["schemas"][name]
    answer: dict[str, Any] = response.get_json(force=True)
    check(schema, answer)
    assert set(answer) == set(schema["properties"])
    return answer


def members(name: str) -> set[str]:
    """The names of the members that the schema has."""
    return set(DOCUMENT["components"]["schemas"][name]["properties"])


def test_the_answers_have_the_described_members(
    deployment: Deployment, client: FlaskClient
) -> None:
    """All of them and no other."""
    body = {"channel": "demo", "viewer_id": "viewer-17"}
    url = assert_described(client.post("/v1/playback-urls", json=body), "PlaybackUrlAnswer")
    batch = client.post("/v1/playback-urls:batch", json={"requests": [body, {}]})
    results = assert_described(batch, "BatchAnswer")["results"]
    assert set(results[0]) == members("PlaybackUrlAnswer")
    assert set(results[1]) <= members("Problem")
    inspected = client.post("/v1/tokens:inspect", json={"token": url["token"][:-4]})
    inspection = assert_described(inspected, "InspectionAnswer")
    assert set(inspection["checks"][0]) == members("InspectionCheck")
    assert set(inspection["findings"][0]) == members("Finding")
    keys = assert_described(client.get("/v1/keys"), "KeyPairsAnswer")["keys"]
    assert set(keys[0]) == members("KeyPairAnswer")
    shown = assert_described(client.get("/v1/ops"), "OpsAnswer")
    assert set(shown["checks"][0]) == members("ReadinessCheck")
    assert set(shown["regions"][0]) == members("OpsRegion")
    assert set(shown["regions"][0]["key_pairs"][0]) == members("OpsKeyPair")
    assert set(shown["decisions"]["latest"][0]) == members("OpsDecision")
    assert set(shown["channels"]["listed"][0]) == members("OpsChannel")
    jwks = assert_described(client.get("/.well-known/jwks.json"), "JwksAnswer")["keys"]
    assert set(jwks[0]) == members("Jwk")
    assert_described(client.get("/healthz"), "HealthAnswer")
    ready = assert_described(client.get("/readyz"), "ReadinessAnswer")
    assert set(ready["checks"][0]) == members("ReadinessCheck")


def test_the_answer_to_a_kick_has_the_described_members(own_deployment: Deployment) -> None:
    """In a deployment of its own, because a kick stays in the state."""
    key = own_deployment.new_key("moderator", "open", scopes=("moderate",))
    kicked = own_deployment.client().post(
        "/v1/viewer-session-revocations",
        json={"viewer_id": "viewer-17", "channel": "demo"},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert kicked.status_code == 202
    answer = assert_described(kicked, "RevocationsAnswer")
    assert set(answer["revocations"][0]) == members("Revocation")
    listed = own_deployment.client().get("/v1/bans", headers={"Authorization": f"Bearer {key}"})
    bans = assert_described(listed, "BansAnswer")["bans"]
    assert set(bans[0]) == members("BanAnswer")


def test_a_member_that_has_no_value_may_be_null() -> None:
    """In a body, as in `bodies.Form`: `allowed_origins` is a list."""
    schema = {"$ref": "#/components/schemas/PlaybackRequest"}
    check(schema, {"channel": "demo", "allowed_origins": None, "single_use": None})
    assert not Draft202012Validator({**schema, "components": DOCUMENT["components"]}).is_valid(
        {"channel": None}
    )


def test_the_service_serves_the_file(deployment: Deployment) -> None:
    """With an entity tag, and for pages of any origin."""
    served = deployment.client().get("/openapi.json")
    assert served.status_code == 200
    assert json.loads(served.data) == json.loads(FILE.read_text())
    assert json.loads(served.data) == DOCUMENT
    assert served.headers["Access-Control-Allow-Origin"] == "*"
    again = deployment.client().get(
        "/openapi.json", headers={"If-None-Match": served.headers["ETag"]}
    )
    assert again.status_code == 304
    assert "Date" not in served.headers
