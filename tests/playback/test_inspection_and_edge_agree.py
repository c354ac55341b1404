from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from flask.testing import FlaskClient
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from local_ivs.testing import LocalIvsServer

from tests.support.clock import EXAMPLE_NOW, ManualClock
from tokensvc.arns import ChannelArn, Region
from tokensvc.playback.inspected_signature import KnownKey
from tokensvc.playback.inspection import Evidence, Inspection, inspect
from tokensvc.token.p384 import LocalSigner

NOW = EXAMPLE_NOW + 0.5
FIRST, SECOND, DELETED, FOREIGN = (LocalSigner.generate() for _ in range(4))
REGION = Region("us-west-2")
KNOWN = {
    FIRST.public_key: KnownKey("first", REGION),
    SECOND.public_key: KnownKey("second", REGION),
    DELETED.public_key: KnownKey("deleted", REGION, is_in_ivs=False),
}
THIS_CHANNEL = "<the channel's ARN>"
FRESH_UUID = "<a UUID never used before>"


@dataclass(frozen=True)
class Stage:
    """A private, live channel of Local IVS, in an account with the key pairs FIRST and SECOND."""

    edge: FlaskClient
    channel_arn: ChannelArn
    playback_path: str

    def plays(self, token: str, origin: str | None) -> bool:
        """Whether the edge answers with a playlist; any status except 200 and 403 is a failure."""
        headers = {} if origin is None else {"Origin": origin}
        response = self.edge.get(
            self.playback_path, query_string=urlencode({"token": token}), headers=headers
        )
        assert response.status_code in {200, 403}, response.text
        return response.status_code == 200

    def inspection(self, token: str) -> Inspection:
        """The inspection of the playback URL at the same time."""
        return inspect(
            f"https://edge.example{self.playback_path}?{urlencode({'token': token})}",
            Evidence(NOW, KNOWN, self.channel_arn),
        )


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The edge, called directly, with a clock that always shows NOW."""
    with LocalIvsServer(tmp_path_factory.mktemp("local-ivs"), ManualClock(NOW)) as server:
        ivs = server.client()
        for signer in (FIRST, SECOND):
            ivs.import_playback_key_pair(publicKeyMaterial=signer.public_key.pem)
        deleted = ivs.import_playback_key_pair(publicKeyMaterial=DELETED.public_key.pem)
        ivs.delete_playback_key_pair(arn=deleted["keyPair"]["arn"])
        channel = ivs.create_channel(name="private", authorized=True)["channel"]
        server.go_live(channel["arn"])
        yield Stage(
            edge=server.app.test_client(),
            channel_arn=ChannelArn.parse(channel["arn"]),
            playback_path=urlsplit(channel["playbackUrl"]).path,
        )


def base64url(data: bytes) -> str:
    """Unpadded base64url, as in a JWS."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- Valid tokens, and tokens with a planted fault

ORIGIN_OF_GOOD_ITEM = {
    "*": "https://anywhere.example",
    "https://a.example": "https://a.example",
    "https://*.b.example": "https://x.y.b.example",
    "http://localhost:3000": "http://localhost:3000",
    "https://[::1]:8443": "https://[::1]:8443",
}
"""Items of the origin claim, each with an Origin header that it matches."""

# Six origins are valid, but one too many with strict origin enforcement.
good_payloads = st.fixed_dictionaries(
    {"aws:channel-arn": st.just(THIS_CHANNEL), "exp": st.integers(1, 600).map(int(NOW).__add__)},
    optional={
        "aws:viewer-id": st.text(min_size=1, max_size=40),
        "aws:viewer-session-version": st.integers(-(2**63), 2**63 - 1),
        "aws:single-use-uuid": st.just(FRESH_UUID),
        "aws:maximum-resolution": st.sampled_from(["SD", "HD", "FULL_HD"]),
        "aws:access-control-allow-origin": st.sampled_from([1, 2, 5, 6])
        .flatmap(
            lambda n: st.lists(st.sampled_from([*ORIGIN_OF_GOOD_ITEM]), min_size=n, max_size=n)
        )
        .map(",".join),
        "aws:strict-origin-enforcement": st.booleans(),
        "iat": st.integers(),
        "nbf": st.integers(),
        "jti": st.text(max_size=10),
    },
)
other_values = {
    "exp": st.sampled_from([0, -1, 2**63, 1_800_000_300_000, 10**400, -(10**400)])
    | st.integers(-2, 2).map(int(NOW).__add__)
    | st.integers(598, 603).map(int(NOW).__add__),
    "aws:channel-arn": st.sampled_from(
        [
            "arn:aws:ivs:us-west-2:123456789012:channel/another12345",
            "arn:aws:ivs:us-west-2:123456789012:playback-key/another12345",
            "demo",
            f"{THIS_CHANNEL}\n",
            f"{THIS_CHANNEL}{'x' * 100}",
        ]
    ),
    "aws:viewer-id": st.text(min_size=38, max_size=43) | st.sampled_from(["", "a@b.c", "v\ud800"]),
    "aws:viewer-session-version": st.sampled_from([-(2**63) - 1, 2**63, 10**400]),
    "aws:single-use-uuid": st.sampled_from(["once", f"{FRESH_UUID}0", f"{{{FRESH_UUID}}}"]),
    "aws:maximum-resolution": st.sampled_from(["hd", "UHD", "_value_", "__members__", ""]),
    "aws:access-control-allow-origin": st.sampled_from(
        [",".join(["*"] * 6), ",".join(["*"] * 600), "*, https://a.example", "*,null", "*,,", ""]
    ),
    "aws:strict-origin-enforcement": st.just("true"),
}
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
)
any_json = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.text(max_size=3), scalars, max_size=2),
)


@st.composite
def payload_texts(draw: st.DrawFn) -> str:
    """The JSON of the payload: valid, or with up to two claims changed or missing."""
    payload: dict[str, object] = dict(draw(good_payloads))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        claim = draw(st.sampled_from([*other_values]))
        fault = draw(st.sampled_from(["other value", "other type", "missing"]))
        if fault == "missing":
            payload.pop(claim, None)
        else:
            payload[claim] = draw(other_values[claim] if fault == "other value" else any_json)
    return json.dumps(payload, ensure_ascii=draw(st.booleans()))


good_headers = [
    '{"alg":"ES384","typ":"JWT"}',
    '{"alg":"ES384"}',
    '{"typ":"JWT","kid":"k","alg":"ES384"}',
]
other_headers = [
    "{}",
    "[]",
    '"ES384"',
    '{"typ":"JWT"}',
    '{"alg":"none","typ":"JWT"}',
    '{"alg":"HS256","typ":"JWT"}',
    '{"alg":"ES256","typ":"JWT"}',
    '{"alg":"es384","typ":"JWT"}',
    '{"alg":["ES384"],"typ":"JWT"}',
    '{"alg":null}',
    '{"alg":"ES384","typ":"jwt"}',
    '{"alg":"ES384","typ":"at+jwt"}',
    '{"alg":"ES384","typ":null}',
    '{"alg":"ES384","crit":[]}',
    '{"alg":"ES384","crit":["b64"],"b64":true}',
    '{"alg":"ES384","b64":false}',
    '{"alg":"none","alg":"ES384"}',
    '{"alg":"ES384","x":NaN}',
    '{"alg":"ES384","x":1e999}',
    '\ufeff{"alg":"ES384"}',
]
other_payload_texts = [
    "",
    "null",
    "[]",
    "{",
    '{"exp":1800000300,"exp":1800000300}',
    '{"a":{"b":1,"b":1}}',
    '{"exp":Infinity}',
    r'{"\ud800":1}',
    '{"a":' + "[" * 600 + "]" * 600 + "}",
]
SIGNERS = {"first": FIRST, "second": SECOND, "deleted": DELETED, "foreign": FOREIGN}


def as_der(signature: bytes) -> bytes:
    """The same signature in DER, the format of OpenSSL and KMS."""
    return encode_dss_signature(int.from_bytes(signature[:48]), int.from_bytes(signature[48:]))


signature_faults: dict[str, Callable[[bytes], bytes]] = {
    "DER": as_der,
    "one bit": lambda signature: bytes([signature[0] ^ 1]) + signature[1:],
    "cut": lambda signature: signature[:-1],
    "longer": lambda signature: signature + b"\0",
    "swapped": lambda signature: signature[48:] + signature[:48],
    "zeros": lambda _: bytes(96),
    "empty": lambda _: b"",
}
form_faults: dict[str, Callable[[str], str]] = {
    "padding": lambda token: token + "=",
    "line end": lambda token: token + "\n",
    "space": lambda token: " " + token,
    "a segment more": lambda token: token + ".e30",
    "a segment less": lambda token: token.rpartition(".")[0],
    "standard alphabet": lambda token: token.replace("-", "+").replace("_", "/"),
    "cut": lambda token: token[:-1],
    "not ASCII": lambda token: token + "é",
    "a NUL": lambda token: token + "\0",
    "nothing": lambda _: "",
}


@dataclass(frozen=True)
class Recipe:
    """The parts and faults of one token, so that a failing example is readable."""

    header: str
    payload: str
    signed_by: str
    signature_fault: str
    form_fault: str

    def token(self, channel_arn: ChannelArn) -> str:
        """The token for this channel."""
        payload = self.payload.replace(THIS_CHANNEL, str(channel_arn))
        payload = payload.replace(FRESH_UUID, str(uuid.uuid4()))
        header_and_payload = (
            text.encode("utf-8", "surrogatepass") for text in (self.header, payload)
        )
        signing_input = ".".join(base64url(data) for data in header_and_payload)
        signature = SIGNERS[self.signed_by].sign(signing_input.encode())
        if self.signature_fault:
            signature = signature_faults[self.signature_fault](signature)
        token = f"{signing_input}.{base64url(signature)}"
        return form_faults[self.form_fault](token) if self.form_fault else token


def mostly(good: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A good value with 75 % probability, so that many tokens have at most one fault."""
    return st.sampled_from([good, good, good, other]).flatmap(lambda strategy: strategy)


recipes = st.builds(
    Recipe,
    header=mostly(st.sampled_from(good_headers), st.sampled_from(other_headers)),
    payload=mostly(payload_texts(), st.sampled_from(other_payload_texts)),
    signed_by=mostly(st.sampled_from(["first", "second"]), st.sampled_from([*SIGNERS])),
    signature_fault=mostly(st.just(""), st.sampled_from([*signature_faults])),
    form_fault=mostly(st.just(""), st.sampled_from([*form_faults])),
)


def origin_for(inspection: Inspection) -> str | None:
    """An Origin header that the token allows, if it enforces origins on every request; else None.

    A token that enforces origins but has no usable origin is skipped: the request would decide.
    """
    payload = inspection.payload
    origins = payload.get("aws:access-control-allow-origin")
    if payload.get("aws:strict-origin-enforcement") is not True or not isinstance(origins, str):
        return None
    items = [item for item in origins.split(",") if item in ORIGIN_OF_GOOD_ITEM]
    assume(items)
    return ORIGIN_OF_GOOD_ITEM[items[0]]


@settings(max_examples=400, deadline=None)
@given(recipe=recipes)
def test_inspection_accepts_a_token_exactly_when_the_edge_plays_it(
    stage: Stage, recipe: Recipe
) -> None:
    """Two implementations that share no code and no JOSE library agree on every token."""
    token = recipe.token(stage.channel_arn)
    inspection = stage.inspection(token)
    plays = stage.plays(token, origin_for(inspection))
    event("plays" if plays else "is refused")
    assert inspection.accepted_by_ivs == plays, inspection.findings
    if plays:
        assert inspection.signed_by == recipe.signed_by


def test_the_recipes_make_tokens_that_play_and_tokens_that_are_refused(stage: Stage) -> None:
    """So the property above covers both results."""
    payload = json.dumps({"aws:channel-arn": THIS_CHANNEL, "exp": int(NOW) + 300})
    good = Recipe(good_headers[0], payload, "second", "", "")
    assert stage.plays(good.token(stage.channel_arn), None)
    assert stage.inspection(good.token(stage.channel_arn)).signed_by == "second"
    deleted = Recipe(good_headers[0], payload, "deleted", "", "")
    assert not stage.plays(deleted.token(stage.channel_arn), None)
    assert not stage.inspection(deleted.token(stage.channel_arn)).accepted_by_ivs
