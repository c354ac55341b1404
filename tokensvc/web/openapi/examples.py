"""Requests and answers for the OpenAPI document. A test checks them with its schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_CHANNEL: Final = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
_TOKEN: Final = "eyJhbGciOiJFUzM4NCIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl"  # noqa: S105 # Signs nothing.
_KEY_ID: Final = "k0123456789ab"

PLAYBACK_REQUESTS: Final[Mapping[str, object]] = {
    "by_name": {"channel": "demo"},
    "with_limits": {
        "channel": _CHANNEL,
        "viewer_id": "viewer-17",
        "ttl_seconds": 300,
        "allowed_origins": ["https://www.example.com"],
    },
}
PLAYBACK_URL: Final[Mapping[str, object]] = {
    "playback_url": (
        "https://abcd.us-west-2.playback.live-video.net/api/video/v1/"
        f"us-west-2.123456789012.channel.abcdEFGHijkl.m3u8?token={_TOKEN}"
    ),
    "token": _TOKEN,
    "channel_arn": _CHANNEL,
    "viewer_id": "viewer-17",
    "expires_at": "2027-01-15T08:05:00Z",
    "ttl_seconds": 300,
    "refresh_after_seconds": 240,
    "key_id": _KEY_ID,
    "watch_until": None,
}
BATCHES: Final[Mapping[str, object]] = {
    "two": {
        "requests": [
            {"channel": "demo", "viewer_id": "viewer-17"},
            {"channel": _CHANNEL, "viewer_id": "viewer-17"},
        ]
    }
}
PROBLEM: Final[Mapping[str, object]] = {
    "type": "urn:problem-type:tokensvc:not_entitled",
    "title": "Not entitled",
    "status": 403,
    "code": "not_entitled",
    "detail": "No grant of the caller covers this channel.",
    "request_id": "9f86d081884c7d659a2feaa0c55ad015",
}
BATCH_ANSWER: Final[Mapping[str, object]] = {"results": [PLAYBACK_URL, PROBLEM]}

REVOCATION_REQUESTS: Final[Mapping[str, object]] = {
    "kick": {"viewer_id": "viewer-17", "channel": "demo"},
    "ban": {
        "viewer_id": "viewer-17",
        "all_channels": True,
        "ban_seconds": 86_400,
        "note": "Shares playback URLs",
    },
}
REVOCATIONS: Final[Mapping[str, object]] = {
    "revocations": [
        {
            "ban_id": "b0123456789ab",
            "viewer_ids": ["viewer-17"],
            "channel_arn": _CHANNEL,
            "banned_until": None,
            "line_passes_at": "2027-01-15T08:00:11Z",
            "pending": False,
        }
    ],
    "pending": 0,
    "expected_at": None,
}

BAN: Final[Mapping[str, object]] = {
    "ban_id": "b0123456789ab",
    "kind": "ban",
    "state": "active",
    "viewer_ids": ["viewer-17"],
    "channel_arn": None,
    "banned_until": "2027-01-16T08:00:00Z",
    "line_passes_at": "2027-01-15T08:02:10Z",
    "is_pending_at_ivs": False,
    "channels_left": [],
    "made_at": "2027-01-15T08:00:00Z",
    "made_by": "0123456789ab",
    "note": "Shares playback URLs",
    "lifted_at": None,
    "lifted_by": None,
}
BANS: Final[Mapping[str, object]] = {"bans": [BAN], "next": None}
LIFTED_BAN: Final[Mapping[str, object]] = {
    **BAN,
    "state": "lifted",
    "lifted_at": "2027-01-15T09:00:00Z",
    "lifted_by": "0123456789ab",
}

KEY_PAIRS: Final[Mapping[str, object]] = {
    "keys": [
        {
            "region": "us-west-2",
            "key_id": _KEY_ID,
            "state": "active",
            "compromised": False,
            "in_ivs": None,
            "fingerprint": "98:0d:1a:a0:19:96:1e:ea:0a:0a:2c:9a:42:19:2b:e7",
            "arn": "arn:aws:ivs:us-west-2:123456789012:playback-key/abcdEFGHijkl",
            "since": "2027-01-01T00:00:00Z",
        }
    ]
}

INSPECTION_REQUESTS: Final[Mapping[str, object]] = {
    "token": {"token": _TOKEN},
    "url_of_a_page": {
        "token": PLAYBACK_URL["playback_url"],
        "channel_arn": _CHANNEL,
        "origin": "https://www.example.com",
    },
}
_EXPIRED: Final[Mapping[str, object]] = {
    "claim": "exp",
    "rule": "expired",
    "message": "The token expired 60 seconds ago.",
    "enforced_by_ivs": True,
    "is_believed": False,
}
INSPECTION: Final[Mapping[str, object]] = {
    "accepted_by_ivs": False,
    "signed_by": _KEY_ID,
    "seconds_left": -60,
    "checks": [{"name": "expiry", "verdict": "failed", "findings": [_EXPIRED]}],
    "findings": [_EXPIRED],
    "header": {"alg": "ES384", "typ": "JWT"},
    "payload": {"aws:channel-arn": _CHANNEL, "exp": 1_800_000_000},
}

OPS: Final[Mapping[str, object]] = {
    "at": "2027-01-15T08:00:00Z",
    "process_id": 4711,
    "processes": 2,
    "version": "0.1.0",
    "checks": [{"name": "ring us-west-2", "ready": True, "code": "", "notes": []}],
    "regions": [
        {
            "region": "us-west-2",
            "key_pairs": [
                {
                    "key_id": _KEY_ID,
                    "state": "retiring",
                    "compromised": False,
                    "adopted": False,
                    "fingerprint": "98:0d:1a:a0:19:96:1e:ea:0a:0a:2c:9a:42:19:2b:e7",
                    "arn": "arn:aws:ivs:us-west-2:123456789012:playback-key/abcdEFGHijkl",
                    "created_at": "2027-01-01T00:00:00Z",
                    "published_at": "2027-01-01T00:00:01Z",
                    "activated_at": "2027-01-01T00:01:01Z",
                    "signing_ended_at": "2027-01-15T07:59:00Z",
                    "drained_at": "2027-01-15T09:59:20Z",
                    "deleted_at": None,
                    "destroyed_on": None,
                    "compromised_at": None,
                }
            ],
            "next_step": {
                "action": "delete",
                "key_id": _KEY_ID,
                "sentence": f"delete {_KEY_ID} from IVS",
                "at": "2027-01-15T09:59:20Z",
                "is_due": False,
                "why": f"Tokens that {_KEY_ID} signed may be valid until then.",
            },
            "rotation_request": "",
            "rotation_pause": "",
            "reconcile": {
                "attempted_at": "2027-01-15T07:59:02Z",
                "by": "ann@ops-1",
                "code": "",
                "succeeded_at": "2027-01-15T07:59:02Z",
                "is_overdue": False,
            },
        }
    ],
    "views": [{"name": "API keys", "age_seconds": 3, "max_age_seconds": 120, "code": ""}],
    "decisions": {
        "since": "2027-01-15T06:00:00Z",
        "granted": 1_200,
        "refused": [{"code": "not_entitled", "count": 3}],
        "latest": [
            {
                "at": "2027-01-15T07:59:59Z",
                "decision": "granted",
                "code": "",
                "rule": None,
                "channel": "demo",
                "channel_arn": _CHANNEL,
                "caller_id": "0123456789ab",
                "grant": "web",
                "request_id": "9f86d081884c7d659a2feaa0c55ad015",
            }
        ],
    },
    "channels": {
        "cached": 1,
        "listed": [
            {
                "channel_arn": _CHANNEL,
                "names": ["demo"],
                "answer": "private",
                "age_seconds": 120,
                "refresh_in_seconds": 171,
            }
        ],
    },
    "bans": {
        "kept": 1,
        "active": 1,
        "pending": 0,
        "latest": [
            {
                "ban_id": "b0123456789ab",
                "kind": "ban",
                "state": "active",
                "channel_arn": None,
                "banned_until": "2027-01-16T08:00:00Z",
                "is_pending_at_ivs": False,
                "made_at": "2027-01-15T08:00:00Z",
                "made_by": "0123456789ab",
            }
        ],
    },
}

JWKS: Final[Mapping[str, object]] = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-384",
            "x": "qDz-6QyQo7wUpIM1uRkGZTqUZBpqOYJHKe-AnMkRzhNq2VEpxtvWgQoIxT0xVp1v",
            "y": "W3zl3NGCv3gcWZk7S8nYoCqY3Ee4GzEEU3_XUPeMrhYYj_aYhU4jFyXl4mV3tG5n",
            "kid": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "alg": "ES384",
            "use": "sig",
        }
    ]
}
READINESS: Final[Mapping[str, object]] = {
    "status": "ready",
    "checks": [{"name": "ring us-west-2", "ready": True, "code": "", "notes": []}],
}
