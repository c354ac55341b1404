"""Helpers for the tests of any program that uses Amazon IVS.

`LocalIvsServer` runs Local IVS in a thread of the test process, on a free port:

    with LocalIvsServer(tmp_path) as server, urllib3.PoolManager() as pool:
        account, pair = Account(server, "123456789012"), KeyPair()
        account.import_key(pair)
        channel = account.create_channel()

        token = pair.token(claims(channel.arn, now=time.time(), viewer_id="alice"))

        Player(pool, server.url).watch(channel, token)
        refusal = server.refusal_of(channel.arn, "not a token")
        assert refusal is not None and refusal.reason is Reason.MALFORMED

The program under test uses the server if `AWS_ENDPOINT_URL_IVS` is `server.url`. A `ManualClock`
lets a test decide the time. The functions need no test framework. A helper that finds something
other than it expects raises AssertionError.
"""

from __future__ import annotations

from local_ivs.edge.refusals import Reason, TokenRefusedError
from local_ivs.testing.clock import EXAMPLE_NOW, ManualClock
from local_ivs.testing.playback import (
    Account,
    Channel,
    KeyPair,
    Playback,
    Player,
    base64url,
    claims,
    refusal_in,
    urls_in,
)
from local_ivs.testing.server import EXAMPLE_ACCOUNT, EXAMPLE_REGION, LocalIvsServer

__all__ = [
    "EXAMPLE_ACCOUNT",
    "EXAMPLE_NOW",
    "EXAMPLE_REGION",
    "Account",
    "Channel",
    "KeyPair",
    "LocalIvsServer",
    "ManualClock",
    "Playback",
    "Player",
    "Reason",
    "TokenRefusedError",
    "base64url",
    "claims",
    "refusal_in",
    "urls_in",
]
