"""An account of Local IVS, key pairs that sign tokens, and a player outside a browser."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local_ivs.testing.server import EXAMPLE_REGION

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient
    from urllib3 import BaseHTTPResponse, PoolManager

    from local_ivs.testing.server import LocalIvsServer


@dataclass(frozen=True)
class KeyPair:
    """A P-384 key pair. It signs any claims, so that a test can make invalid tokens."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP384R1())
    )

    @property
    def public_pem(self) -> str:
        """The public key in the format that IVS imports."""
        return (
            self.private.public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, message: bytes) -> bytes:
        """The ES384 signature: r and s, 48 bytes each."""
        r, s = utils.decode_dss_signature(self.sign_der(message))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    def sign_der(self, message: bytes) -> bytes:
        """The ES384 signature in DER, the format of OpenSSL and KMS."""
        return self.private.sign(message, ec.ECDSA(SHA384()))

    def token(self, claims: object, header: object | None = None) -> str:
        """A signed token with these claims, valid or not."""
        header = {"alg": "ES384", "typ": "JWT"} if header is None else header
        return self.raw_token(json.dumps(claims).encode(), json.dumps(header).encode())

    def raw_token(self, payload: bytes, header: bytes = b'{"alg":"ES384","typ":"JWT"}') -> str:
        """A signed token with exactly these bytes."""
        signing_input = f"{base64url(header)}.{base64url(payload)}"
        return f"{signing_input}.{base64url(self.sign(signing_input.encode()))}"


def base64url(data: bytes) -> str:
    """Unpadded base64url (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(channel_arn: str, now: float, **more: Any) -> dict[str, Any]:
    """The claims of a valid token that expires 300 s after `now` (Unix seconds), and more claims.

    `viewer_id=...` sets `aws:viewer-id`, and so on. `exp=...` sets `exp`.
    """
    required = {"aws:channel-arn": channel_arn, "exp": more.pop("exp", int(now) + 300)}
    return required | {f"aws:{name.replace('_', '-')}": value for name, value in more.items()}


@dataclass(frozen=True)
class Account:
    """An AWS account in one region of Local IVS, used through boto3."""

    server: LocalIvsServer
    account_id: str
    region: str = EXAMPLE_REGION

    @cached_property
    def ivs(self) -> IVSClient:
        """The boto3 client of IVS."""
        return self.server.client(self.region, self.account_id)

    def create_channel(self, *, private: bool = True, live: bool = True) -> Channel:
        """Create a channel."""
        answer = self.ivs.create_channel(authorized=private)
        arn = answer["channel"]["arn"]
        if live:
            self.server.go_live(arn)
        return Channel(arn, answer["channel"]["playbackUrl"])

    def import_key(self, pair: KeyPair) -> str:
        """Import the public key, and return the key pair's ARN."""
        answer = self.ivs.import_playback_key_pair(publicKeyMaterial=pair.public_pem)
        return answer["keyPair"]["arn"]


@dataclass(frozen=True)
class Channel:
    """A channel: its ARN, and the playback URL that the API returned."""

    arn: str
    playback_url: str

    @property
    def path(self) -> str:
        """The playback URL without scheme and host."""
        return urlsplit(self.playback_url).path


@dataclass(frozen=True)
class Player:
    """Sends a player's requests over real HTTP."""

    pool: PoolManager
    base_url: str

    def get(self, path: str, origin: str | None = None, method: str = "GET") -> BaseHTTPResponse:
        """The response to a request for a path of the edge."""
        headers = {} if origin is None else {"Origin": origin}
        return self.pool.request(method, self.base_url + path, headers=headers, retries=False)

    def start(
        self, channel: Channel, token: str | None, origin: str | None = None
    ) -> BaseHTTPResponse:
        """The response to the channel's playback URL, with or without a token."""
        return self.get(channel.path + ("" if token is None else f"?token={token}"), origin)

    def watch(self, channel: Channel, token: str | None, origin: str | None = None) -> Playback:
        """Start playback. Raises AssertionError if the edge refuses it."""
        answer = self.start(channel, token, origin)
        if answer.status != 200:  # noqa: PLR2004 - OK.
            raise AssertionError(answer.data)
        return Playback(self, urls_in(answer))


@dataclass(frozen=True)
class Playback:
    """A playback that the edge accepted: the URLs of its variant playlists, highest first."""

    player: Player
    variants: list[str]

    def playlist(self, origin: str | None = None) -> BaseHTTPResponse:
        """The response to the playlist of the lowest variant."""
        return self.player.get(self.variants[-1], origin)

    def segment_url(self, origin: str | None = None) -> str:
        """The URL of the newest segment in the playlist."""
        return urls_in(self.playlist(origin))[-1]


def urls_in(answer: BaseHTTPResponse) -> list[str]:
    """The URLs in a playlist that are lines of their own."""
    return [line for line in answer.data.decode().splitlines() if not line.startswith("#")]


def refusal_in(answer: BaseHTTPResponse, status: int = 403) -> tuple[str, str]:
    """The `error_code` and the `error` of a refusal.

    Raises AssertionError if the response has another status or isn't in IVS's format.
    """
    if answer.status != status or answer.headers["Content-Type"] != "application/json":
        raise AssertionError(answer.data)
    (document,) = answer.json()
    if set(document) != {"url", "error", "error_code", "type"} or document["type"] != "error":
        raise AssertionError(document)
    return document["error_code"], document["error"]
