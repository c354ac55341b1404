from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.tokens import ARN, NOW, PAIR, refusal_reason, verify_token
from local_ivs.edge.refusals import Reason
from local_ivs.testing import base64url

# They run the lines of `test_verifier` hundreds of times.
pytestmark = pytest.mark.no_cover

VALID_CLAIMS = st.fixed_dictionaries(
    {"exp": st.integers(NOW + 1, NOW + 600), "aws:channel-arn": st.just(ARN)},
    optional={
        "aws:viewer-id": st.text(min_size=1, max_size=40),
        "aws:viewer-session-version": st.integers(-(2**63), 2**63 - 1),
        "aws:single-use-uuid": st.uuids().map(str),
        "aws:maximum-resolution": st.sampled_from(["SD", "HD", "FULL_HD"]),
        "aws:access-control-allow-origin": st.text(min_size=1, max_size=40).filter(
            lambda text: text.count(",") < 5
        ),
        "aws:strict-origin-enforcement": st.booleans(),
        "iat": st.integers(),
    },
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(VALID_CLAIMS)
def test_any_combination_of_valid_claims_is_accepted_unchanged(payload: dict[str, Any]) -> None:
    """No claim affects another."""
    admission = verify_token(PAIR.token(payload))
    assert admission.expires_at == payload["exp"]
    assert admission.viewer_id == payload.get("aws:viewer-id")
    assert admission.viewer_session_version == payload.get("aws:viewer-session-version", 0)
    assert admission.single_use_uuid == payload.get("aws:single-use-uuid")
    assert admission.maximum_resolution.name == payload.get("aws:maximum-resolution", "FULL_HD")


@given(VALID_CLAIMS, st.integers(0, 767))
def test_a_signature_with_one_changed_bit_is_refused(payload: dict[str, Any], bit: int) -> None:
    """For each bit of the 96 bytes."""
    signing_input = PAIR.token(payload).rpartition(".")[0]
    number = int.from_bytes(PAIR.sign(signing_input.encode()), "big") ^ (1 << bit)
    assert (
        refusal_reason(f"{signing_input}.{base64url(number.to_bytes(96, 'big'))}")
        is Reason.SIGNATURE
    )


@given(st.text() | st.binary().map(base64url) | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]+"))
def test_any_text_as_a_token_is_refused_without_another_exception(token: str) -> None:
    """Whatever the URL contains, the edge refuses it and does not fail."""
    assert refusal_reason(token) in Reason


@given(
    st.dictionaries(
        st.sampled_from(["exp", "aws:channel-arn", "aws:viewer-id", "aws:single-use-uuid"])
        | st.sampled_from(["aws:maximum-resolution", "aws:access-control-allow-origin"])
        | st.sampled_from(["aws:strict-origin-enforcement", "aws:viewer-session-version"]),
        JSON_VALUES,
    )
)
def test_signed_claims_of_any_json_type_are_refused_without_another_exception(
    payload: dict[str, Any],
) -> None:
    """No generated value is the channel's ARN, so no token is accepted."""
    assert refusal_reason(PAIR.token(payload)) in Reason
