"""What the entitlement hook is asked: all inputs, and a key in which each of them counts."""

from __future__ import annotations

import json
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.access.grants import ARN
from tokensvc.access.callers import Caller, Identity
from tokensvc.access.entitlement_question import Question
from tokensvc.access.requests import PlaybackRequest
from tokensvc.arns import ChannelArn
from tokensvc.ivs.model import Channel
from tokensvc.token.claims import PlaybackOptions, Resolution

OTHER_ARN = ChannelArn.parse("arn:aws:ivs:us-west-2:123456789012:channel/otherOTHER00")
TEXTS = ("", "a", "b", "a,b", '"', "\u2028", "null")
NOW = 1_800_000_000.0

identities = st.builds(
    Identity, st.sampled_from(TEXTS), st.sampled_from(TEXTS), st.just(()), st.just({"plan": "x"})
)
callers = st.builds(
    Caller,
    st.sampled_from(["00000000000a", "00000000000b"]),
    st.sampled_from(TEXTS),
    st.just(()),
    identity=st.none() | identities,
)
channels = st.builds(
    Channel,
    st.sampled_from([ARN, OTHER_ARN]),
    st.sampled_from(TEXTS),
    is_private=st.just(True),  # noqa: FBT003
    playback_url=st.just("https://example.com/a.m3u8"),
)
origins = st.lists(st.sampled_from(TEXTS), max_size=2).map(tuple)
resolutions = st.none() | st.sampled_from(Resolution)
requests = st.builds(
    PlaybackRequest,
    channel=st.just("demo"),
    viewer_id=st.none() | st.sampled_from(TEXTS),
    ttl_seconds=st.none() | st.integers(1, 2),
    allowed_origins=origins,
    strict_origin_enforcement=st.booleans(),
    single_use=st.booleans(),
    maximum_resolution=resolutions,
    refresh_of=st.none() | st.just("eyJ"),
    watch_until=st.none() | st.sampled_from(["2027-01-15T08:00:00Z", "2027-01-15T08:00:01Z"]),
    viewer_country=st.none() | st.sampled_from(["NL", "US"]),
)
granted_options = st.builds(
    PlaybackOptions, st.integers(1, 2), origins, st.booleans(), st.booleans(), resolutions
)
questions = st.builds(
    Question,
    caller=callers,
    channel=channels,
    request=requests,
    grant=st.sampled_from(TEXTS),
    granted=granted_options,
    country=st.none() | st.sampled_from(["NL", "US"]),
    request_id=st.none() | st.sampled_from(["request-1", "request-2"]),
)


def question_of(caller: Caller) -> Question:
    """A question about viewer-1."""
    return Question(
        caller=caller,
        channel=Channel(ARN, "Stage 1", is_private=True, playback_url="https://example.com/a"),
        request=PlaybackRequest(channel="demo", viewer_id="viewer-1", single_use=True),
        grant="open",
        granted=PlaybackOptions(300, single_use=True, maximum_resolution=Resolution.HD),
        country="NL",
        request_id="request-1",
    )


@given(first=questions, second=questions, which=st.integers(0, 6), part=st.data())
def test_each_input_that_is_sent_changes_the_key(
    first: Question, second: Question, which: int, part: st.DataObject
) -> None:
    """And nothing else does: two questions have one key exactly if they ask the same."""
    name = fields(Question)[which].name  # Most random pairs differ in everything: change one.
    changed = replace(first, **{name: getattr(second, name)})
    if name in {"request", "granted", "caller", "channel"}:
        whole = getattr(first, name)
        member = part.draw(st.sampled_from([field.name for field in fields(whole)]))
        value = getattr(getattr(second, name), member)
        changed = replace(first, **{name: replace(whole, **{member: value})})

    sent = [json.loads(each.body(NOW))["data"] for each in (first, changed)]
    for data in sent:
        del data["request_id"]
    assert (first.key == changed.key) == (sent[0] == sent[1])
    assert json.loads(first.body(NOW)) | {"timestamp": ""} == json.loads(first.body(NOW + 1)) | {
        "timestamp": ""
    }


def test_the_hook_knows_the_user_and_none_of_the_other_claims() -> None:
    """The viewer ID is a hash, in which the hook can't find its user."""
    identity = Identity("https://id.example.com", "user-7", ("v" * 40,), {"email": "a@b.example"})
    body = json.loads(question_of(Caller("oidc:web:v", "web", (), identity=identity)).body(NOW))
    assert body["data"]["caller"] == {
        "id": "oidc:web:v",
        "name": "web",
        "identity": {"issuer": "https://id.example.com", "subject": "user-7"},
    }
    assert "a@b.example" not in json.dumps(body)


def test_the_hook_gets_every_input() -> None:
    """By hand. `null` stands for what was not requested."""
    question = question_of(Caller("00000000000a", "backend", ("open",)))
    assert json.loads(question.body(NOW)) == {
        "type": "entitlement.requested",
        "timestamp": "2027-01-15T08:00:00Z",
        "data": {
            "request_id": "request-1",
            "caller": {"id": "00000000000a", "name": "backend", "identity": None},
            "channel": {
                "arn": "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",
                "name": "Stage 1",
            },
            "viewer_id": "viewer-1",
            "country": "NL",
            "requested": {
                "ttl_seconds": None,
                "allowed_origins": [],
                "strict_origin_enforcement": False,
                "single_use": True,
                "maximum_resolution": None,
                "watch_until": None,
            },
            "granted": {
                "grant": "open",
                "ttl_seconds": 300,
                "allowed_origins": [],
                "strict_origin_enforcement": False,
                "single_use": True,
                "maximum_resolution": "HD",
            },
        },
    }
