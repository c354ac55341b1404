"""Validation by the model's shapes, compared with botocore's own validator."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from local_ivs.errors import SerializationError, ValidationError
from local_ivs.shapes import python_pattern, serialize, validate
from local_ivs.testing import conformance

MODEL = ServiceModel(Loader().load_service_model("ivs", "service-2"), "ivs")
OPERATIONS = ["CreateChannel", "ListChannels", "BatchGetChannel", "PutMetadata", "ListStreams"]
ARN = "arn:aws:ivs:us-west-2:123456789012:channel/abcdABCDefgh"
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 200),
    st.floats(),
    st.sampled_from([ARN, "LOW", "STANDARD", "HEALTHY", "", "a b"]),
    st.text(max_size=3),
)


def values(names: list[str]) -> st.SearchStrategy[Any]:
    """JSON values whose objects have these and other members."""
    return st.recursive(
        LEAVES,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(names) | st.text(max_size=3), inner, max_size=4),
        ),
        max_leaves=8,
    )


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any]:
    """An operation and a document for it, often valid and often not."""
    name = draw(st.sampled_from(OPERATIONS))
    members = MODEL.operation_model(name).input_shape
    assert members is not None
    names = list(members.members)
    plausible = st.dictionaries(
        st.sampled_from(names), values([*names, "health", "enabled"]), max_size=3
    )
    return name, draw(st.one_of(plausible, values(names)))


@pytest.mark.no_cover  # It runs the lines of the tests below 300 times.
@settings(max_examples=300, deadline=None)
@given(requests())
def test_botocore_accepts_every_validated_request(request_: tuple[str, Any]) -> None:
    """Validated members pass botocore's validator; all others raise one of two errors."""
    name, document = request_
    shape = MODEL.operation_model(name).input_shape
    assert shape is not None
    try:
        validated = validate(shape, document)
    except (SerializationError, ValidationError):
        return
    report = ParamValidator().validate(validated, shape)
    assert not report.has_errors(), report.generate_report()
    assert validate(shape, validated) == validated


@pytest.mark.parametrize(
    "pattern",
    sorted(
        {shape["pattern"] for shape in conformance.model()["shapes"].values() if "pattern" in shape}
    ),
)
def test_every_pattern_of_the_model_works_in_python(pattern: str) -> None:
    """No converted pattern contains a Unicode category, which Python's `re` doesn't have."""
    assert "p{" not in python_pattern(pattern).pattern


@pytest.mark.parametrize(
    ("key", "matches"),
    [("Ä b", True), ("键:1", True), ("a_b.c/d=e+f-g@h", True), ("²", True), ("a*", False)],
)
def test_unicode_categories_of_tag_keys_are_converted(key: str, matches: bool) -> None:  # noqa: FBT001 - a column of the table
    """Letters, separators and numbers of any script; only the listed other characters."""
    pattern = conformance.model()["shapes"]["TagKey"]["pattern"]
    assert bool(python_pattern(pattern).fullmatch(key)) is matches


def test_a_response_has_only_the_members_of_its_shape() -> None:
    """A summary has no fingerprint, even if the operation returns it; times become RFC 3339."""
    pairs = MODEL.operation_model("ListPlaybackKeyPairs").output_shape
    assert pairs is not None
    pair = {"arn": "a", "fingerprint": "00:11", "name": None}
    assert serialize(pairs, {"keyPairs": [pair], "other": 1}) == {"keyPairs": [{"arn": "a"}]}
    stream = MODEL.operation_model("GetStream").output_shape
    assert stream is not None
    started = {"stream": {"startTime": 1_800_000_000.9, "viewerCount": 0}}
    assert serialize(stream, started) == {
        "stream": {"startTime": "2027-01-15T08:00:00Z", "viewerCount": 0}
    }
