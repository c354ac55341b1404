"""Every error that pydantic can report about a request body gets a sentence of this service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from tokensvc.access.requests import PlaybackRequest
from tokensvc.access.revocation_requests import RevocationRequest
from tokensvc.errors import InvalidRequest
from tokensvc.web.bodies import MAX_MEMBERS, SENTENCES, Form
from tokensvc.web.playback_urls import BatchBody

FORMS: list[Form[Any]] = [Form(PlaybackRequest), Form(BatchBody), Form(RevocationRequest)]
"""One for each request body of the HTTP API."""

# pydantic's error types for the nodes of a schema and for the constraints of a node.
TYPES_OF_NODE = {
    "dataclass": {"dataclass_type"},
    "dataclass-args": {"unexpected_keyword_argument"},
    "str": {"string_type"},
    "int": {"int_type"},
    "bool": {"bool_type"},
    "enum": {"enum"},
    "list": {"list_type"},
    "tuple": {"tuple_type"},
    "default": set[str](),
    "nullable": set[str](),
    "any": set[str](),
}
TYPES_OF_CONSTRAINT = {
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("int", "ge"): "greater_than_equal",
    ("int", "le"): "less_than_equal",
    ("list", "min_length"): "too_short",
    ("list", "max_length"): "too_long",
    ("tuple", "max_length"): "too_long",
}
OTHER_MEMBERS = {
    *("type", "cls", "fields", "schema", "config", "ref", "metadata", "default", "post_init"),
    *("frozen", "slots", "members", "sub_type", "strict", "items_schema", "variadic_item_index"),
    *("dataclass_name", "computed_fields", "collect_init_only", "fail_fast"),
}
"""Members of a node that add no error type."""


def possible_types(schema: Mapping[str, Any]) -> Iterator[str]:
    """The error types that validation with this schema can report.

    Fails for an unknown kind of node or an unknown constraint, whose types must be added above.
    """
    kind = schema["type"]
    yield from TYPES_OF_NODE[kind]
    for member in schema.keys() - OTHER_MEMBERS:
        yield TYPES_OF_CONSTRAINT[kind, member]
    for field in schema["fields"] if kind == "dataclass-args" else ():
        if field["schema"]["type"] != "default":
            yield "missing"
        yield from possible_types(field["schema"])
    items = schema.get("items_schema", [])  # A tuple has a list of schemas, a list has one.
    for inner in (schema.get("schema"), *(items if isinstance(items, list) else [items])):
        if inner is not None:
            yield from possible_types(inner)


def test_every_error_type_of_the_request_bodies_has_a_sentence() -> None:
    """No type is missing, and no sentence is left over from a field that no longer exists."""
    schemas: list[Any] = [form.adapter.core_schema for form in FORMS]
    assert {kind for schema in schemas for kind in possible_types(schema)} == set(SENTENCES)


names = st.sampled_from(
    [
        "channel",
        "channels",
        "ban_seconds",
        "viewer_id",
        "ttl_seconds",
        "allowed_origins",
        "single_use",
        "requests",
        "fault",
    ]
)
values = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 0.5, "", "demo", "SD", 129 * "a", 301 * "b", 2**70]),
    lambda inner: st.lists(inner) | st.dictionaries(names | st.text(), inner),
    max_leaves=8,
)
# Objects without null, which `Form` removes, and with no more members and no longer names than it
# shows; and values that are not objects.
bodies = st.dictionaries(
    names | st.text(max_size=80),
    values.filter(lambda value: value is not None),
    max_size=MAX_MEMBERS,
) | values.filter(lambda value: not isinstance(value, dict))


@given(form=st.sampled_from(FORMS), value=bodies)
def test_no_message_of_pydantic_reaches_a_client(form: Form[Any], value: object) -> None:
    """Each error of any body has one of the sentences, with all its values filled in."""
    try:
        form.adapter.validate_python(value)
    except ValidationError as exc:
        types = [error["type"] for error in exc.errors()]
        with pytest.raises(InvalidRequest) as refusal:
            form.read(value)
        problems = refusal.value.problems
        assert set(types) <= set(SENTENCES)
        assert len(problems) == len(types)
        for error, problem in zip(exc.errors(), problems, strict=True):
            assert problem.field == ".".join(str(part) for part in error["loc"])
            assert problem.message not in {"", error["msg"]}
            assert problem.message.endswith(".")
    else:
        form.read(value)


def outcome(validation: Callable[[], object]) -> object:
    """What the validation returns, or where it found which errors."""
    try:
        return validation()
    except ValidationError as exc:
        return [(error["loc"], error["type"], error.get("ctx")) for error in exc.errors()]


@given(form=st.sampled_from(FORMS), value=bodies)
def test_a_parsed_body_is_validated_as_strictly_as_its_text(form: Form[Any], value: object) -> None:
    """The text is parsed once. pydantic's strict mode for JSON text would give the same result."""
    text = json.dumps(value)
    expected = outcome(lambda: form.adapter.validate_json(text, strict=True))
    assert outcome(lambda: form.adapter.validate_python(value)) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"channel": "demo", "ttl_seconds": "300"},
        {"channel": "demo", "ttl_seconds": 300.0},
        {"channel": "demo", "ttl_seconds": True},
        {"channel": "demo", "single_use": 1},
        {"channel": "demo", "single_use": "true"},
        {"channel": "demo", "viewer_id": 5},
        {"channel": "demo", "allowed_origins": "https://a.example.com"},
        {"channel": "demo", "allowed_origins": {"https://a.example.com": 1}},
        {"channel": "demo", "allowed_origins": [5]},
        {"channel": "demo", "maximum_resolution": "hd"},
        {"channel": "demo", "maximum_resolution": 1},
    ],
)
def test_no_value_is_converted_to_another_type(body: object) -> None:
    """A number in quotes, 1 for true, an object for a list: each is one problem."""
    with pytest.raises(InvalidRequest) as refusal:
        Form(PlaybackRequest).read(body)
    assert len(refusal.value.problems) == 1


@dataclass(frozen=True)
class EvenNumber:
    """A body with a constraint that no body of the HTTP API has."""

    number: Annotated[int, Field(multiple_of=2)]


def test_an_error_type_without_a_sentence_gets_a_general_one() -> None:
    """For example one of a newer pydantic. Its type is the rule; its message is not shown."""
    with pytest.raises(InvalidRequest) as refusal:
        Form(EvenNumber).read({"number": 3})
    (problem,) = refusal.value.problems
    assert (problem.field, problem.rule) == ("number", "multiple_of")
    assert "multiple" not in problem.message
    assert problem.message
