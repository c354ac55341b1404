"""Sending to a webhook: signatures that the library verifies, and a bounded time for each fault."""

from __future__ import annotations

import base64
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import WebhookVerificationError

from tests.support.clock import ManualClock
from tests.support.deadline import deadline
from tests.support.tls import self_signed
from tests.support.webhook_receiver import (
    SECRET,
    Behavior,
    WebhookReceiver,
    join_senders,
    unused_port,
    webhook_receiver,
)
from tokensvc.errors import NotificationFailed, SettingsInvalid
from tokensvc.webhooks import DeliveryTerms, Receiver, load_webhook_secrets

OTHER_SECRET = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
CONTENT = {"type": "test", "data": {"detail": "Ünïcode"}}
LOOPBACK = ipaddress.ip_address("127.0.0.1")
SHORT = DeliveryTerms(connect_seconds=0.2, read_seconds=0.15, attempt_seconds=0.25)


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    """The time of the machine, because the library verifies it; its pauses take no time."""
    return ManualClock(time.time())


def test_the_signature_is_verified_by_the_library(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """With the right secret only."""
    Receiver(receiver.url, [SECRET], clock).send("msg_1", CONTENT)

    (message,) = receiver.messages
    assert message.verified() == CONTENT
    assert message.message_id == "msg_1"
    assert message.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        message.verified(OTHER_SECRET)


def test_while_the_secret_is_changed_both_verify(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """The receiver has the previous one until it is given the new one."""
    Receiver(receiver.url, [OTHER_SECRET, SECRET], clock).send("msg_1", CONTENT)

    (message,) = receiver.messages
    assert message.verified(SECRET) == message.verified(OTHER_SECRET) == CONTENT


@pytest.mark.parametrize("first", [500, 503, 429, "close"])
def test_a_temporary_failure_is_tried_again_with_the_same_id(
    receiver: WebhookReceiver, clock: ManualClock, first: Behavior
) -> None:
    """After 1 s, with a signature of the new time."""
    receiver.behaviors = [first]
    Receiver(receiver.url, [SECRET], clock).send("msg_1", CONTENT)

    one, other = receiver.messages
    assert one.message_id == other.message_id == "msg_1"
    assert other.verified() == CONTENT
    assert int(other.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 1
    assert clock.sleeps == [1.0]


@pytest.mark.parametrize("status", [302, 307, 400, 401, 410, 501])
def test_a_refusal_is_not_tried_again_and_no_redirect_followed(
    receiver: WebhookReceiver, clock: ManualClock, status: int
) -> None:
    """Not in this run: an operator must change something."""
    receiver.otherwise = status
    with pytest.raises(NotificationFailed) as failed:
        Receiver(receiver.url, [SECRET], clock).send("msg_1", CONTENT)

    assert failed.value.code == "notification_failed"
    assert str(status) in failed.value.detail
    assert [message.path for message in receiver.messages] == ["/hooks/very-private-path"]


@pytest.mark.parametrize("behavior", ["hang", "drip"])
def test_a_receiver_that_does_not_end_its_answer_costs_a_bounded_time(
    receiver: WebhookReceiver, clock: ManualClock, behavior: Behavior
) -> None:
    """Three attempts of at most 0.25 s each: no socket's time-out ends an answer that drips."""
    receiver.otherwise = behavior
    began = time.monotonic()
    with pytest.raises(NotificationFailed):
        Receiver(receiver.url, [SECRET], clock, SHORT).send("msg_1", CONTENT)

    assert time.monotonic() - began < 10
    assert [message.message_id for message in receiver.messages] == ["msg_1"] * 3
    assert clock.sleeps == [1.0, 2.0]


def test_a_job_that_runs_for_long_has_few_threads_that_wait_for_an_answer(
    receiver: WebhookReceiver, clock: ManualClock
) -> None:
    """As long as three have not ended, nothing more is sent; then it goes on."""
    receiver.otherwise = "drip"
    # The threads end by no time-out of their sockets, however slowly the receiver begins.
    terms = DeliveryTerms(connect_seconds=30, read_seconds=30, attempt_seconds=0.25)
    for message_id in ("msg_1", "msg_2"):
        with pytest.raises(NotificationFailed):
            Receiver(receiver.url, [SECRET], clock, terms).send(message_id, CONTENT)
    with deadline(30):
        while len(receiver.messages) < 3:
            time.sleep(0.01)
    assert [message.message_id for message in receiver.messages] == ["msg_1"] * 3

    receiver.closing.set()
    receiver.otherwise = 204
    join_senders()
    Receiver(receiver.url, [SECRET], clock).send("msg_2", CONTENT)
    assert receiver.messages[-1].message_id == "msg_2"


def test_nothing_that_listens_is_a_failure_whose_text_has_only_the_host(
    clock: ManualClock,
) -> None:
    """The path of a webhook is often its password."""
    url = f"http://127.0.0.1:{unused_port()}/hooks/very-private-path"
    with pytest.raises(NotificationFailed) as failed:
        Receiver(url, [SECRET], clock).send("msg_1", CONTENT)

    assert "127.0.0.1" in failed.value.detail
    assert "very-private-path" not in str(failed.value)
    assert SECRET not in str(failed.value)


def test_a_certificate_is_verified(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To one of an unknown authority nothing is sent, until OpenSSL's own variable names it."""
    tls = self_signed(tmp_path)[0]
    with webhook_receiver(tls=tls) as receiver:
        with pytest.raises(NotificationFailed):
            Receiver(receiver.url, [SECRET], clock).send("msg_1", CONTENT)
        assert receiver.messages == []

        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
        Receiver(receiver.url, [SECRET], clock).send("msg_1", CONTENT)
        assert [message.verified() for message in receiver.messages] == [CONTENT]


@pytest.mark.parametrize("form", ["http://ann:p%40ss@127.0.0.1:{}", "127.0.0.1:{}"])
def test_a_proxy_in_the_environment_is_used_as_by_boto3(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Except for a host in NO_PROXY, and for loopback."""
    with socket.create_server(("127.0.0.1", 0)) as proxy, webhook_receiver() as receiver:
        address = form.format(proxy.getsockname()[1])
        monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.setenv("HTTP_PROXY", address)
        Receiver(receiver.url, [SECRET], clock).send("msg_1", CONTENT)
        assert len(receiver.messages) == 1

        received: list[bytes] = []
        thread = threading.Thread(target=refuse_one, args=(proxy, received))
        thread.start()
        one_attempt = DeliveryTerms(pauses_seconds=())
        with pytest.raises(NotificationFailed) as failed:
            Receiver("https://hooks.invalid/private", [SECRET], clock, one_attempt).send("m", {})
        thread.join()
    assert "HTTPS_PROXY" in failed.value.detail
    assert "p@ss" not in str(failed.value)
    assert received[0].startswith(b"CONNECT hooks.invalid:443 HTTP/1.")
    credentials = base64.b64encode(b"ann:p@ss")
    assert (b"Basic " + credentials in received[0]) is ("ann" in form)


def refuse_one(proxy: socket.socket, received: list[bytes]) -> None:
    """Keep one request, and refuse it as a proxy does."""
    connection, _ = proxy.accept()
    with connection:
        received.append(connection.recv(4_096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


def test_the_secrets_of_a_file_are_one_on_each_line(tmp_path: Path) -> None:
    """Also as editors on Windows write them, and through a link, as Kubernetes mounts them."""
    file = tmp_path / "file"
    file.write_bytes(f"\ufeff{SECRET}\r\n{OTHER_SECRET}\r\n".encode())
    file.chmod(0o600)
    link = tmp_path / "webhook-secret"
    link.symlink_to(file)
    assert list(load_webhook_secrets(link)) == [SECRET, OTHER_SECRET]
    assert list(load_webhook_secrets(SECRET)) == [SECRET]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_not base64",
        "whsec_!!!!AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=",  # 23 bytes.
        f"whsec_{'AAAA' * 22}",  # 66 bytes.
        f"{SECRET}\n{OTHER_SECRET}x",
    ],
)
def test_a_text_that_is_no_secret_is_refused(text: str, tmp_path: Path) -> None:
    """The message does not repeat it: it may be another secret."""
    with pytest.raises(SettingsInvalid) as in_environment:
        load_webhook_secrets(text)
    file = tmp_path / "webhook-secret"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(SettingsInvalid) as in_file:
        load_webhook_secrets(file)

    for error in (in_environment.value, in_file.value):
        assert error.hint == 'Generate one with `echo "whsec_$(openssl rand -base64 32)"`.'
        assert not any(secret in error.detail for secret in text.split() if secret != "whsec_")


def test_a_file_that_every_user_can_read_is_refused(tmp_path: Path) -> None:
    """As is one that is missing, and one that is not text."""
    file = tmp_path / "webhook-secret"
    file.write_text(SECRET)
    file.chmod(0o644)
    with pytest.raises(SettingsInvalid) as refused:
        load_webhook_secrets(file)
    assert refused.value.hint == f"Run `chmod 600 {file}`."

    file.chmod(0o600)
    file.write_bytes(b"\x80\x81")
    with pytest.raises(SettingsInvalid):
        load_webhook_secrets(file)
    file.unlink()
    with pytest.raises(SettingsInvalid):
        load_webhook_secrets(file)
