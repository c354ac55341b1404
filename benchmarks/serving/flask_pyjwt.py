"""Plain Flask with PyJWT, a key object, and an API key; the channel is known at the start.

Run by gunicorn's sync workers. It has no grants, no rules and no audit.
"""

from __future__ import annotations

import hmac
import os
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Flask, abort, request

app = Flask(__name__)
_key = load_pem_private_key(Path(os.environ["BENCH_PRIVATE_KEY"]).read_bytes(), password=None)
if not isinstance(_key, ec.EllipticCurvePrivateKey):
    raise TypeError("BENCH_PRIVATE_KEY does not name an EC private key.")
PRIVATE_KEY = _key
AUTHORIZATION = f"Bearer {os.environ['BENCH_API_KEY']}"
CHANNEL_ARN = os.environ["BENCH_CHANNEL_ARN"]
PLAYLIST_URL = os.environ["BENCH_PLAYLIST_URL"]


@app.post("/v1/playback-urls")
def playback_url() -> dict[str, object]:
    """A signed playback URL for the viewer in the body."""
    if not hmac.compare_digest(request.headers.get("Authorization", ""), AUTHORIZATION):
        abort(401)
    body = request.get_json()
    claims = {
        "aws:channel-arn": CHANNEL_ARN,
        "aws:viewer-id": body["viewer_id"],
        "exp": int(time.time()) + body["ttl_seconds"],
    }
    token = jwt.encode(claims, PRIVATE_KEY, algorithm="ES384")
    return {"playback_url": f"{PLAYLIST_URL}?token={token}"}
