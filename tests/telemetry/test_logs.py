"""Log lines for programs and for people contain no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import SSOTokenLoadError
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.redaction import redact
from tokensvc.telemetry.log_lines import text_line
from tokensvc.telemetry.logs import JsonLines, PlainLines, TextLines, configure_logging

JWT = "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.eyJleHAiOjE4MDAwMDAwMDB9.c2lnbmF0dXJl-_"
API_KEY = "tsk_k1_9f8Zq-_secretsecret"
HEX_SECRET = 10 * "9f8e7d" + "0123"
KEY_ENCRYPTION_SECRET = 6 * "9f8e7d+" + "A="
WEBHOOK_SECRET = "whsec_" + 3 * "9f8e7d+/" + "AA=="
PRIVATE_PEM = "-----BEGIN PRIVATE KEY-----\nMIG2AgEAMBAG\n-----END PRIVATE KEY-----"


@pytest.fixture(autouse=True)
def _restore_loggers() -> Iterator[None]:
    """Restore what `configure_logging` changes."""
    loggers = [logging.getLogger(name) for name in (None, "botocore", "boto3", "urllib3")]
    levels = [logger.level for logger in loggers]
    handlers = list(logging.getLogger().handlers)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    logging.getLogger().handlers[:] = handlers


def json_line_of(act: Callable[[logging.Logger], None]) -> dict[str, Any]:
    """The members of the line that `act` logs."""
    stream = io.StringIO()
    configure_logging("INFO", stream, JsonLines())
    act(logging.getLogger("tokensvc.example"))
    (line,) = stream.getvalue().splitlines()
    members: dict[str, Any] = json.loads(line)
    return members


def fail(logger: logging.Logger, text: str) -> None:
    """Log an exception with this text."""
    try:
        raise RuntimeError(text)  # noqa: TRY301 - the test needs a traceback.
    except RuntimeError:
        logger.exception("It failed")


def test_a_json_line_has_time_level_logger_message_and_extra_members() -> None:
    """The values in `extra` are members, and numbers stay numbers."""
    line = json_line_of(
        lambda logger: logger.warning("No %s", "answer", extra={"region": "us-west-2", "tries": 3})
    )
    at = line.pop("at")
    assert line == {
        "level": "warning",
        "logger": "tokensvc.example",
        "message": "No answer",
        "region": "us-west-2",
        "tries": 3,
    }
    assert at.endswith("Z")
    assert len(at) == len("2027-01-15T08:00:00.000Z")


def test_an_exception_is_logged_on_one_line() -> None:
    """The traceback is a member."""
    line = json_line_of(lambda logger: fail(logger, "first\nsecond"))
    assert line["message"] == "It failed"
    assert line["exception"].endswith("RuntimeError: first\nsecond")


def test_an_extra_value_cannot_replace_a_standard_member() -> None:
    """The level and the time are those of the record."""
    line = json_line_of(lambda logger: logger.error("x", extra={"level": "info", "at": "never"}))
    assert line["level"] == "error"
    assert line["at"] != "never"


def test_a_plain_line_is_the_level_and_the_message() -> None:
    """It contains nothing else."""
    stream = io.StringIO()
    configure_logging("INFO", stream, PlainLines())
    logging.getLogger("tokensvc.example").warning("The key pair %s waits.", "k1")
    assert stream.getvalue() == "warning: The key pair k1 waits.\n"


@pytest.mark.parametrize("formatter", [JsonLines(), PlainLines(), TextLines(text_line)])
@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        f"https://e.net/c.m3u8?token={JWT}&player_version=1",
        "GET /c.m3u8?token=opaque-secretsecret HTTP/1.1",
        API_KEY,
        API_KEY.upper().replace("SECRETSECRET", "secretsecret"),
        f"key_{API_KEY}",
        f"Authorization: Bearer {API_KEY}",
        f"GET /v1/playback-urls/{HEX_SECRET} HTTP/1.1",
        f"GET /tsk%5F0123456789ab%5F{HEX_SECRET.upper()} HTTP/1.1",
        f"/{HEX_SECRET}0",
        "ingest with sk_us-west-2_abcdef_secretsecret",
        f"the key-encryption secret {KEY_ENCRYPTION_SECRET}",
        f"the webhook secret {WEBHOOK_SECRET}",
        "authorization: bearer opaque-secretsecret",
        PRIVATE_PEM,
        f"read {PRIVATE_PEM[:40]}",
    ],
)
def test_no_secret_is_logged(secret: str, formatter: logging.Formatter) -> None:
    """Not in the message, its arguments, an extra value or the text of an exception."""
    stream = io.StringIO()
    configure_logging("INFO", stream, formatter)
    logger = logging.getLogger("tokensvc.example")
    logger.info("before %s after", secret, extra={"url": secret})
    logger.info(f"before {secret} after")  # noqa: G004 - the test is about careless code.
    fail(logger, secret)
    written = stream.getvalue()
    assert written.count("before ") == 2
    assert "[redacted" in written
    for part in (*JWT.split("."), "secretsecret", "MIG2", "9f8e7d", "9F8E7D"):
        assert part not in written


@given(
    before=st.text(alphabet="ab &?\"'\n", max_size=20),
    after=st.text(alphabet=" &\"'\n<", min_size=1, max_size=20),
)
def test_redact_replaces_a_token_anywhere_and_nothing_else(before: str, after: str) -> None:
    """The text around the token is unchanged."""
    assert redact(f"{before}{JWT}{after}") == f"{before}[redacted]{after}"


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl",
        "The channel could not be looked up: Amazon IVS throttles GetChannel. Try again.",
        "kid=" + 43 * "a" + "&x=1",
        "Request " + 16 * "0f" + " failed",
        "98:0d:1a:a0:19:96:1e:ea:0a:0a:2c:9a:42:19:2b:e7",
        "-----BEGIN PUBLIC KEY-----",
        "no token was sent",
    ],
)
def test_text_without_a_secret_is_not_changed(text: str) -> None:
    """An operator needs ARNs, fingerprints and sentences."""
    assert redact(text) == text


def test_a_second_configuration_replaces_the_first_but_not_other_handlers() -> None:
    """No line is written twice."""
    first, second, others = io.StringIO(), io.StringIO(), io.StringIO()
    other_handler = logging.StreamHandler(others)
    logging.getLogger().addHandler(other_handler)
    configure_logging("INFO", first, JsonLines())
    configure_logging("INFO", second, PlainLines())
    logging.getLogger("tokensvc.example").info("once")
    assert (first.getvalue(), second.getvalue()) == ("", "info: once\n")
    assert others.getvalue() == "once\n"


def test_records_below_the_level_are_not_written() -> None:
    """The level applies to all loggers."""
    stream = io.StringIO()
    configure_logging("WARNING", stream, PlainLines())
    logging.getLogger("tokensvc.example").info("quiet")
    logging.getLogger("botocore").info("quiet")
    assert stream.getvalue() == ""


def test_botocore_never_logs_at_debug() -> None:
    """At DEBUG it logs signed requests; the loggers of tokensvc still log."""
    stream = io.StringIO()
    configure_logging("DEBUG", stream, PlainLines())
    logging.getLogger("botocore.auth").debug("the signature")
    logging.getLogger("tokensvc.example").debug("a detail")
    assert stream.getvalue() == "debug: a detail\n"


def test_an_expired_sign_in_is_logged_without_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error with a hint follows. botocore itself finds that there is no sign-in."""
    config = tmp_path / "config"
    config.write_text(
        "[profile sso]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = R\n"
        "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    stream = io.StringIO()
    configure_logging("WARNING", stream, PlainLines())
    credentials = botocore.session.Session(profile="sso").get_credentials()
    assert credentials is not None
    with pytest.raises(SSOTokenLoadError):
        credentials.get_frozen_credentials()
    assert stream.getvalue().startswith("warning: ")
    assert "Traceback" not in stream.getvalue()


def test_an_unknown_level_is_refused() -> None:
    """The settings check the level before."""
    with pytest.raises(ValueError, match="LOUD"):
        configure_logging("LOUD", io.StringIO(), JsonLines())
