"""The audit log has one line for each decision."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.audit import AuditEvent, JsonLinesAudit

GRANTED = AuditEvent(
    at=1_800_000_000.75,
    decision="granted",
    caller_id="c1",
    channel="keynote",
    channel_arn="arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",
    viewer_id="viewer-1",
    session_version=1_800_000_000,
    grant="web",
    key_id="key-1",
    expires_at=1_800_000_300.0,
    ttl_seconds=300,
    token_sha256="0123456789abcdef",
    request_id="r1",
    country="DE",
    rule="ttl_seconds",
)


def test_a_granted_decision_is_one_json_line_with_times_in_utc() -> None:
    """All members are present; 1,800,000,000 s is 2027-01-15T08:00:00Z."""
    stream = io.StringIO()
    JsonLinesAudit(stream).write(GRANTED)
    assert stream.getvalue() == (
        '{"at":"2027-01-15T08:00:00Z","decision":"granted","caller_id":"c1","channel":"keynote",'
        '"code":"","channel_arn":"arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",'
        '"viewer_id":"viewer-1","session_version":1800000000,"grant":"web","key_id":"key-1",'
        '"expires_at":"2027-01-15T08:05:00Z","ttl_seconds":300,'
        '"token_sha256":"0123456789abcdef","request_id":"r1",'
        '"client_address":null,"ban_id":null,"omitted":null,"country":"DE","rule":"ttl_seconds",'
        '"watch_until":null}\n'
    )


def test_a_refused_decision_has_its_code_and_null_for_unknown_members() -> None:
    """Unknown members are null, not left out."""
    stream = io.StringIO()
    JsonLinesAudit(stream).write(
        AuditEvent(at=0, decision="refused", code="not_entitled", caller_id="c1", channel="keynote")
    )
    assert json.loads(stream.getvalue()) == {
        "at": "1970-01-01T00:00:00Z",
        "decision": "refused",
        "code": "not_entitled",
        "caller_id": "c1",
        "channel": "keynote",
        "channel_arn": None,
        "viewer_id": None,
        "session_version": None,
        "grant": None,
        "key_id": None,
        "expires_at": None,
        "ttl_seconds": None,
        "token_sha256": None,
        "request_id": None,
        "client_address": None,
        "ban_id": None,
        "omitted": None,
        "country": None,
        "rule": None,
        "watch_until": None,
    }


@given(channel=st.text(max_size=400))
def test_an_untrusted_channel_name_never_breaks_or_floods_a_line(channel: str) -> None:
    """Line breaks, control characters and unpaired surrogates give one short ASCII line."""
    stream = io.StringIO()
    JsonLinesAudit(stream).write(
        AuditEvent(at=0, decision="refused", code="x", caller_id="c1", channel=channel)
    )
    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["channel"] == channel[:64]


def logged_channels(*channels: str) -> list[str]:
    """The channels of the audit lines of refused requests for these channels."""
    stream = io.StringIO()
    audit = JsonLinesAudit(stream)
    for channel in channels:
        audit.write(AuditEvent(at=0, decision="refused", code="x", caller_id="c1", channel=channel))
    return [json.loads(line)["channel"] for line in stream.getvalue().splitlines()]


def test_an_arn_is_logged_whole_and_what_is_longer_is_cut() -> None:
    """The longest ARN has 128 characters."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/".ljust(128, "x")
    assert logged_channels(arn, arn + "x") == [arn, arn]


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_an_api_key_that_was_sent_as_the_channel_is_not_logged(case: Callable[[str], str]) -> None:
    """Nor its secret alone, whose 64 characters are as many as a name may have."""
    secret = case(64 * "f")
    assert logged_channels(case(f"tsk_{12 * '0'}_") + secret, secret, f"arn:{secret}") == [
        "tsk_[redacted]",
        "[redacted]",
        "arn:[redacted]",
    ]


def test_threads_write_whole_lines() -> None:
    """Eight threads write 400 lines, and none is lost or mixed with another."""
    stream = io.StringIO()
    audit = JsonLinesAudit(stream)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(audit.write, [GRANTED] * 400))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 400
    assert {json.loads(line)["caller_id"] for line in lines} == {"c1"}


def test_a_line_that_cannot_be_written_raises_the_error() -> None:
    """On a full disk, an unrecorded decision is never ignored."""
    full = Path("/dev/full").open("w", encoding="ascii")  # noqa: SIM115 - closing fails too.
    with pytest.raises(OSError, match="No space left"):
        JsonLinesAudit(full).write(GRANTED)
    with contextlib.suppress(OSError):
        full.close()
