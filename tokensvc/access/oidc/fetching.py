"""Fetch the keys of an issuer over HTTPS: its metadata (OpenID Connect Discovery), then its keys.

A fetch is bounded in time and size, whatever the issuer does. Redirects are not followed, and
certificates are verified. The metadata must name the same issuer, character by character.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import urllib3

from tokensvc.access.oidc.key_sets import KeySet, parse_key_set
from tokensvc.errors import IssuerUnavailable
from tokensvc.net import is_loopback_url
from tokensvc.token import strict_json
from tokensvc.webhooks import connections, reason_of

MAX_BYTES: Final = 256 * 1_024
"""Of one document. Usual key sets have a few kilobytes."""

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
_THREAD_NAME: Final = "fetch keys"
_MAX_THREADS: Final = 3
"""While so many fetches of an issuer have not ended, no further one is made."""

_PART_BYTES: Final = 16 * 1_024
_CHECK_SETTINGS: Final = "Check the section [issuers.{name}] of the settings, and the issuer."


@dataclass(frozen=True, slots=True)
class FetchTerms:
    """How long a fetch may take.

    Attributes:
        connect_seconds: how long a connection may take.
        read_seconds: how long the issuer may be silent.
        total_seconds: how long the whole fetch may take, including the look-up of names.
    """

    connect_seconds: float = 3.0
    read_seconds: float = 3.0
    total_seconds: float = 8.0


class KeySource:
    """Where one issuer publishes its keys."""

    def __init__(
        self,
        name: str,
        issuer: str,
        jwks_url: str | None = None,
        *,
        ca_file: Path | None = None,
        terms: FetchTerms | None = None,
    ) -> None:
        """The keys of an issuer; nothing is fetched yet.

        Args:
            name: the name of the issuer in the settings.
            issuer: its URL.
            jwks_url: the URL of its keys; None if its metadata has it.
            ca_file: the CA certificates that verify its certificate; None for the machine's.
            terms: how long a fetch may take.
        """
        self._name = name
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._ca_file = ca_file
        self._terms = terms or FetchTerms()

    def fetch(self) -> KeySet:
        """The usable keys that the issuer publishes now; at least one.

        It is done in a thread that is abandoned after its time: the time-outs of a socket bound
        neither the look-up of a name nor an answer of which one byte arrives now and then.

        Raises:
            IssuerUnavailable: when they can't be fetched, or there is none.
        """
        results: queue.SimpleQueue[KeySet | Exception] = queue.SimpleQueue()
        result: KeySet | Exception = TimeoutError()
        thread_name = f"{_THREAD_NAME} of {self._name}"
        running = sum(thread.name == thread_name for thread in threading.enumerate())
        if running < _MAX_THREADS:
            threading.Thread(
                target=lambda: results.put(self._keys_or_error()), name=thread_name, daemon=True
            ).start()
            with suppress(queue.Empty):
                result = results.get(timeout=self._terms.total_seconds)
        if isinstance(result, IssuerUnavailable):
            raise result
        if isinstance(result, Exception):
            raise self._unavailable(f"can't be fetched ({reason_of(result)})") from result
        return result

    def _keys_or_error(self) -> KeySet | Exception:
        deadline = time.monotonic() + self._terms.total_seconds  # Of the thread, not of a decision.
        try:
            keys = self._parsed(self._get(self._jwks_url or self._discovered(deadline), deadline))
        except (IssuerUnavailable, urllib3.exceptions.HTTPError, HTTPException, OSError) as exc:
            return exc
        except ValueError as exc:  # Such as a URL that is none.
            return exc
        if not keys.keys:
            faults = ", ".join(f"{fault}: {count}" for fault, count in keys.left_out.items())
            return self._unavailable(f"have no usable one (left out: {faults or 'none'})")
        return keys

    def _discovered(self, deadline: float) -> str:
        """The URL of the keys, from the metadata (OpenID Connect Discovery 1.0 §4)."""
        body = self._get(self._issuer.removesuffix("/") + DISCOVERY_PATH, deadline)
        try:
            metadata = strict_json.loads(body)
        except ValueError as exc:
            raise self._unavailable("can't be found: its metadata is not valid JSON") from exc
        if not isinstance(metadata, Mapping) or metadata.get("issuer") != self._issuer:
            raise self._unavailable("are not used: its metadata names another issuer")
        url = metadata.get("jwks_uri")
        if not isinstance(url, str) or not self._may_have_keys(url):
            raise self._unavailable("can't be found: its metadata has no https jwks_uri")
        return url

    def _may_have_keys(self, url: str) -> bool:
        """Whether that URL may be requested because the issuer says so."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        # A remote issuer must not send this service to one on its own machine.
        is_on_this_machine = is_loopback_url(url)
        if is_on_this_machine and not is_loopback_url(self._issuer):
            return False
        return parts.username is None and (
            parts.scheme == "https" or (parts.scheme == "http" and is_on_this_machine)
        )

    def _parsed(self, body: bytes) -> KeySet:
        try:
            return parse_key_set(body)
        except ValueError as exc:
            raise self._unavailable("are not a valid JWK Set") from exc

    def _get(self, url: str, deadline: float) -> bytes:
        terms = self._terms
        with connections(url, ca_file=self._ca_file) as pool:
            answer = pool.request(
                "GET",
                url,
                headers={
                    "accept": "application/json, application/jwk-set+json",
                    "accept-encoding": "identity",
                    "user-agent": "tokensvc",
                },
                timeout=urllib3.Timeout(connect=terms.connect_seconds, read=terms.read_seconds),
                retries=False,  # Nor are redirects followed.
                preload_content=False,
                decode_content=False,  # A compressed answer may have any size.
            )
            try:
                if answer.status != HTTPStatus.OK:
                    raise self._unavailable(
                        f"can't be fetched: it answered with the HTTP status {answer.status}"
                    )
                return self._body(answer, deadline)
            finally:
                answer.close()

    def _body(self, answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        body = b""
        while part := answer.read1(_PART_BYTES):
            body += part
            if len(body) > MAX_BYTES:
                raise self._unavailable(f"can't be fetched: it sent more than {MAX_BYTES} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError
        return body

    def _unavailable(self, what: str) -> IssuerUnavailable:
        return IssuerUnavailable(
            f"The keys of the issuer {self._name} {what}.",
            hint=_CHECK_SETTINGS.format(name=self._name),
        )
