"""An entitlement hook for tokensvc: who may watch, from a table of subscriptions.

    pip install flask standardwebhooks
    ENTITLEMENT_SECRET="$(cat entitlement-secret)" flask --app entitlement_hook run --port 8003

The secret is the one in the file that `entitlement.secret_file` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, jsonify, request
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass(frozen=True)
class Subscription:
    """What a viewer has paid for: until when (UTC), and up to which resolution."""

    ends_at: datetime
    maximum_resolution: str = "FULL_HD"


SUBSCRIPTIONS = {
    "viewer-1": Subscription(datetime(2099, 1, 1, tzinfo=UTC)),
    "viewer-2": Subscription(datetime(2099, 1, 1, tzinfo=UTC), maximum_resolution="SD"),
    "viewer-3": Subscription(datetime(2020, 1, 1, tzinfo=UTC)),
}


def create_app(
    secret: str | None = None, subscriptions: Mapping[str, Subscription] | None = None
) -> Flask:
    """The hook as a Flask application. By default, the secret is that of the environment."""
    app = Flask(__name__)
    webhook = Webhook(secret or os.environ["ENTITLEMENT_SECRET"])
    paid = SUBSCRIPTIONS if subscriptions is None else subscriptions

    @app.post("/entitlement")
    def decide() -> Response | tuple[Response, int]:
        try:
            # The library verifies the signature, and that the question was signed minutes ago.
            question = webhook.verify(request.get_data(), dict(request.headers))
        except WebhookVerificationError:
            return jsonify(error="The signature is not valid."), 401
        return jsonify(answer(question["data"], paid, datetime.now(UTC)))

    return app


def answer(
    data: Mapping[str, Any], paid: Mapping[str, Subscription], now: datetime
) -> dict[str, object]:
    """The answer to a question with that `data`."""
    subscription = paid.get(data["viewer_id"] or "")
    if subscription is None:
        return {"decision": "deny", "reason": "No subscription.", "cache_seconds": 5}
    if subscription.ends_at <= now:
        return {"decision": "deny", "reason": "The subscription has ended.", "cache_seconds": 5}
    return {
        "decision": "allow",
        "maximum_resolution": subscription.maximum_resolution,
        "watch_until": subscription.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cache_seconds": 30,  # A subscription that is cancelled counts for 30 s more.
    }
