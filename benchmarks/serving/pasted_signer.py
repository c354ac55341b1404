"""The signer that is pasted into applications: it parses the PEM and calls GetChannel each time.

Run by gunicorn's sync workers. It has no API key, no cache, no rules and no audit.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import boto3
import jwt
from flask import Flask, request

app = Flask(__name__)
ivs = boto3.client("ivs")
PRIVATE_KEY = Path(os.environ["BENCH_PRIVATE_KEY"]).read_text()


@app.post("/v1/playback-urls")
def playback_url() -> dict[str, object]:
    """A signed playback URL for the channel and the viewer in the body."""
    body = request.get_json()
    channel = ivs.get_channel(arn=os.environ["BENCH_CHANNEL_ARN"])["channel"]
    claims = {
        "aws:channel-arn": channel["arn"],
        "aws:viewer-id": body["viewer_id"],
        "exp": int(time.time()) + body["ttl_seconds"],
    }
    token = jwt.encode(claims, PRIVATE_KEY, algorithm="ES384")
    return {"playback_url": f"{channel['playbackUrl']}?token={token}"}
