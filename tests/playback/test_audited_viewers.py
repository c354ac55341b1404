"""The viewers of a compromised key pair's tokens, found in an audit log."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tokensvc.arns import ChannelArn
from tokensvc.audit import AuditEvent, JsonLinesAudit
from tokensvc.ivs.viewer_sessions import Viewer
from tokensvc.playback.revocation.audited_viewers import AuditedViewers, audited_viewers

DEMO = "arn:aws:ivs:us-west-2:123456789012:channel/demo"
LOBBY = "arn:aws:ivs:us-west-2:123456789012:channel/lobby"


def line(**changes: Any) -> str:
    """A line as the audit writes it, with changes."""
    members: dict[str, Any] = {
        "at": 1_800_000_000.0,
        "decision": "granted",
        "caller_id": "web",
        "channel": "demo",
        "channel_arn": DEMO,
        "viewer_id": "alice",
        "key_id": "k1",
    }
    stream = io.StringIO()
    JsonLinesAudit(stream).write(AuditEvent(**members | changes))
    return stream.getvalue()


def test_each_viewer_is_listed_once_for_each_channel() -> None:
    """Viewers of other keys, refused requests and refused sign-ins are left out."""
    sign_in = line(
        decision="refused",
        code="unauthenticated",
        client_address="198.51.100.7",
        omitted=0,
        **dict.fromkeys(("caller_id", "channel", "channel_arn", "viewer_id", "key_id")),
    )
    lines = [
        line(),
        line(),
        line(channel_arn=LOBBY),
        line(viewer_id="bob", key_id="k2"),
        line(viewer_id="carol", key_id="k3"),
        line(viewer_id="mallory", decision="refused", code="not_entitled", key_id=None),
        sign_in,
    ]

    assert audited_viewers(lines, {"k1", "k2"}) == AuditedViewers(
        viewers=(
            Viewer(ChannelArn.parse(DEMO), "alice"),
            Viewer(ChannelArn.parse(DEMO), "bob"),
            Viewer(ChannelArn.parse(LOBBY), "alice"),
        ),
        tokens_without_viewer_id=0,
        unreadable_lines=0,
    )


def test_tokens_without_a_viewer_are_counted() -> None:
    """Their viewers can't be identified."""
    assert (
        audited_viewers(
            [line(viewer_id=None), line(viewer_id=None)], {"k1"}
        ).tokens_without_viewer_id
        == 2
    )


def test_a_plain_url_of_a_public_channel_is_not_counted() -> None:
    """It was granted without a token, so no key pair signed it."""
    assert audited_viewers([line(key_id=None)], {"k1"}) == AuditedViewers((), 0, 0)


def test_other_lines_are_counted_and_skipped() -> None:
    """Log lines, a truncated last line, and JSON lines that the audit never writes."""
    lines = [
        "Starting gunicorn\n",
        '{"level": "info"}\n',
        "[]\n",
        json.dumps(json.loads(line()) | {"channel_arn": "demo"}),
        json.dumps(json.loads(line()) | {"viewer_id": "v" * 41}),
        json.dumps(json.loads(line()) | {"viewer_id": 7}),
        line(),
        line()[:40],
    ]

    found = audited_viewers(lines, {"k1"})

    assert (len(found.viewers), found.unreadable_lines) == (1, 7)


@given(st.lists(st.text()))
def test_any_text_is_counted_and_never_raises(lines: list[str]) -> None:
    """An audit log may be damaged too."""
    assert audited_viewers(lines, {"k1"}).unreadable_lines == len(lines)
