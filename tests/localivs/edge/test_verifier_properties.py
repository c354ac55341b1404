from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.localivs.edge.judging import ARN, PAIR, judge, refusal_of
from tests.localivs.edge.stage import NOW, base64url
from tokensvc.localivs.edge.refusals import Reason

GOOD_CLAIMS = st.fixed_dictionaries(
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


@given(GOOD_CLAIMS)
def test_any_mixture_of_good_claims_is_admitted_as_it_stands(payload: dict[str, Any]) -> None:
    """No claim spoils another."""
    admission = judge(PAIR.token(payload))
    assert admission.expires_at == payload["exp"]
    assert admission.viewer_id == payload.get("aws:viewer-id")
    assert admission.viewer_session_version == payload.get("aws:viewer-session-version", 0)
    assert admission.single_use_uuid == payload.get("aws:single-use-uuid")
    assert admission.maximum_resolution.name == payload.get("aws:maximum-resolution", "FULL_HD")


@given(GOOD_CLAIMS, st.integers(0, 767))
def test_no_bit_of_a_signature_may_change(payload: dict[str, Any], bit: int) -> None:
    """96 bytes, each bit of which counts."""
    signing_input = PAIR.token(payload).rpartition(".")[0]
    number = int.from_bytes(PAIR.sign(signing_input.encode()), "big") ^ (1 << bit)
    assert (
        refusal_of(f"{signing_input}.{base64url(number.to_bytes(96, 'big'))}") is Reason.SIGNATURE
    )


@given(st.text() | st.binary().map(base64url) | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]+"))
def test_no_text_at_all_does_more_than_be_refused(token: str) -> None:
    """Whatever is in the URL, the answer is a refusal and not a failure."""
    assert refusal_of(token) in Reason


@given(
    st.dictionaries(
        st.sampled_from(["exp", "aws:channel-arn", "aws:viewer-id", "aws:single-use-uuid"])
        | st.sampled_from(["aws:maximum-resolution", "aws:access-control-allow-origin"])
        | st.sampled_from(["aws:strict-origin-enforcement", "aws:viewer-session-version"]),
        JSON_VALUES,
    )
)
def test_no_signed_claims_do_more_than_be_refused(payload: dict[str, Any]) -> None:
    """Claims of any JSON type; none of these names the channel, so none plays."""
    assert refusal_of(PAIR.token(payload)) in Reason
