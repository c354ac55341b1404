"""Send notifications to a webhook, signed as Standard Webhooks has it.

Each message has an ID that stays the same when it is sent again, and a signature for each secret,
which receivers verify with a library: https://www.standardwebhooks.com. Sending takes a bounded
time, whatever the receiver does. Redirects are not followed, and certificates are verified. The
entitlement hook is asked with the same signatures.
"""

from __future__ import annotations

import base64
import binascii
import json
import queue
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from standardwebhooks import Webhook

from tokensvc.clock import Clock
from tokensvc.errors import NotificationFailed, SettingsInvalid
from tokensvc.net import is_loopback
from tokensvc.secret_text import read_secret_text

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 # The prefix of every secret, in Standard Webhooks.
MIN_SECRET_BYTES: Final = 24
MAX_SECRET_BYTES: Final = 64
_GENERATE = 'Generate one with `echo "whsec_$(openssl rand -base64 32)"`.'
_THREAD_NAME = "send notification"
_MAX_THREADS = 3  # While so many have not ended, no further attempt is made.
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (urllib3.exceptions.ProxyError, "the proxy in HTTPS_PROXY did not connect to it"),
    (urllib3.exceptions.NameResolutionError, "the name is unknown"),
    (urllib3.exceptions.SSLError, "the TLS handshake failed, or the certificate is not valid"),
    (urllib3.exceptions.NewConnectionError, "there is no connection"),
    (urllib3.exceptions.TimeoutError, "it did not answer in time"),
    (urllib3.exceptions.ProtocolError, "the connection was closed"),
    (TimeoutError, "it did not answer in time"),
)


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """How long and how often a message is sent.

    Attributes:
        connect_seconds: how long a connection may take.
        read_seconds: how long the receiver may be silent.
        attempt_seconds: how long one attempt may take, including the look-up of the name.
        pauses_seconds: the pauses between two attempts; there is one attempt more.
    """

    connect_seconds: float = 2.0
    read_seconds: float = 4.0
    attempt_seconds: float = 6.0
    pauses_seconds: tuple[float, ...] = (1.0, 2.0)


class Signing:
    """Signs messages with each of some secrets."""

    def __init__(self, secrets: Sequence[str], clock: Clock) -> None:
        """Sign with these secrets.

        Args:
            secrets: the secrets, as `load_webhook_secrets` returns them.
            clock: dates the messages.
        """
        self._signers = [Webhook(secret) for secret in secrets]
        self._clock = clock

    def headers(self, message_id: str, body: str) -> Mapping[str, str]:
        """The header fields of a message that is sent now, with its signatures."""
        sent = datetime.fromtimestamp(int(self._clock.now()), UTC)
        signatures = [signer.sign(message_id, sent, body) for signer in self._signers]
        return {
            "content-type": "application/json",
            "user-agent": "tokensvc",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(sent.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


class Receiver:
    """The receiver of the notifications: an HTTP endpoint, and the secrets that it knows."""

    def __init__(
        self, url: str, secrets: Sequence[str], clock: Clock, terms: DeliveryTerms | None = None
    ) -> None:
        """A receiver; nothing is sent yet.

        Args:
            url: the URL to which messages are sent. It may contain a secret.
            secrets: the secrets, as `load_webhook_secrets` returns them.
            clock: dates the messages.
            terms: how long and how often a message is sent.
        """
        self._url = url
        self._signing = Signing(secrets, clock)
        self._clock = clock
        self._terms = terms or DeliveryTerms()

    @property
    def host(self) -> str:
        """The host of the URL, for people. The rest of it may be a secret."""
        return urlsplit(self._url).hostname or ""

    def send(self, message_id: str, content: Mapping[str, object]) -> None:
        """Return when the receiver has accepted the message.

        Raises:
            NotificationFailed: when no attempt was accepted.
        """
        body = json.dumps(content, separators=(",", ":"))
        for pause_seconds in self._terms.pauses_seconds:
            try:
                return self._attempt(message_id, body)
            except NotificationFailed as exc:
                if not exc.is_temporary:
                    raise
            self._clock.sleep(pause_seconds)
        return self._attempt(message_id, body)

    def _attempt(self, message_id: str, body: str) -> None:
        """Send the message once.

        It is sent from a thread that is abandoned after its time: the time-outs of a socket bound
        neither the look-up of a name nor an answer of which one byte arrives now and then.
        """
        headers = self._signing.headers(message_id, body)
        results: queue.SimpleQueue[int | Exception] = queue.SimpleQueue()
        result: int | Exception = TimeoutError()
        if sum(thread.name == _THREAD_NAME for thread in threading.enumerate()) < _MAX_THREADS:
            threading.Thread(
                target=lambda: results.put(self._status_or_error(body, headers)),
                name=_THREAD_NAME,
                daemon=True,
            ).start()
            with suppress(queue.Empty):
                result = results.get(timeout=self._terms.attempt_seconds)
        if isinstance(result, Exception):
            raise NotificationFailed(
                f"A notification could not be sent to {self.host} ({reason_of(result)}).",
                hint="Check notify.webhook_url, the network, and the receiver.",
                is_temporary=True,
            ) from result
        if not HTTPStatus.OK <= result < HTTPStatus.MULTIPLE_CHOICES:
            raise NotificationFailed(
                f"{self.host} answered a notification with the HTTP status {result}.",
                hint="Check notify.webhook_url and the receiver. It must know the secret, and"
                " answer with a status from 200 to 299. Redirects are not followed.",
                is_temporary=result in _TEMPORARY,
            )

    def _status_or_error(self, body: str, headers: Mapping[str, str]) -> int | Exception:
        timeout = urllib3.Timeout(
            connect=self._terms.connect_seconds, read=self._terms.read_seconds
        )
        try:
            with connections(self._url) as pool:
                answer = pool.request(
                    "POST",
                    self._url,
                    body=body.encode(),
                    headers=headers,
                    timeout=timeout,
                    retries=False,  # Nor are redirects followed.
                    preload_content=False,  # The answer's body is not read.
                )
                answer.close()
                return answer.status
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as exc:
            return exc


def connections(url: str, *, at_once: int = 1, ca_file: Path | None = None) -> urllib3.PoolManager:
    """Connections to the URL: through the proxy in HTTPS_PROXY, like the calls of AWS, if any.

    `at_once` of them are kept open. Certificates are verified by the CA certificates of the
    machine, or by those in `ca_file`.
    """
    ca_certs = None if ca_file is None else str(ca_file)
    host = urlsplit(url).hostname or ""
    proxy = getproxies().get(urlsplit(url).scheme)
    if proxy is None or is_loopback(host) or proxy_bypass(host):
        return urllib3.PoolManager(maxsize=at_once, ca_certs=ca_certs)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=credentials) if parts.username else None
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return urllib3.ProxyManager(address, proxy_headers=headers, maxsize=at_once, ca_certs=ca_certs)


def load_webhook_secrets(
    source: Path | str, setting: str = "notify.webhook_secret_file"
) -> Sequence[str]:
    """The secrets from a file (a `Path`) or from the value of an environment variable (a `str`).

    There is one, or several while the secret is changed, separated by white space. The file may be
    a symbolic link, as Kubernetes mounts secrets. `setting` is the setting that names the file.

    Raises:
        SettingsInvalid: when one is not `whsec_` and 24 to 64 bytes as base64, or when the file
            can't be read, or can be read by other users.
    """
    text, where = read_secret_text(source, name="webhook secret", setting=setting, hint=_GENERATE)
    secrets = text.split()
    for secret in secrets:
        if not _is_secret(secret):
            raise SettingsInvalid(
                f"A webhook secret {where} does not have the form {SECRET_PREFIX}BASE64, with"
                f" {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes.",
                hint=_GENERATE,
            )
    if not secrets:
        raise SettingsInvalid(f"There is no webhook secret {where}.", hint=_GENERATE)
    return secrets


def _is_secret(text: str) -> bool:
    if not text.startswith(SECRET_PREFIX):
        return False
    encoded = text.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES


def reason_of(error: Exception) -> str:
    """The reason for people. The text of the exception may contain the URL."""
    named = (reason for kind, reason in _REASONS if isinstance(error, kind))
    return next(named, type(error).__name__)
