"""`GET /.well-known/jwks.json`: the public keys whose tokens may still play (RFC 7517 §5).

For programs that verify tokens themselves, such as a CDN function. IVS does not read this key set:
it verifies with the public keys that were imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, jsonify

from tokensvc.clock import Moment
from tokensvc.errors import NoSigningKey
from tokensvc.keyring.view import RingView
from tokensvc.service import Service
from tokensvc.token.p384 import PublicKey

MAX_AGE_SECONDS = 60


def create_blueprint(service: Service) -> Blueprint:
    """The blueprint with the route."""
    routes = Blueprint("jwks", __name__)

    @routes.get("/.well-known/jwks.json")
    def jwks() -> Response:
        public_keys = _public_keys(service.rings.values(), Moment.of(service.clock))
        # By thumbprint: one key may have been adopted in two regions.
        keys = {key.thumbprint: key.jwk() for key in public_keys}
        answer = jsonify(keys=[keys[thumbprint] for thumbprint in sorted(keys)])
        answer.headers["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer

    return routes


def _public_keys(rings: Iterable[RingView], moment: Moment) -> Iterator[PublicKey]:
    for ring in rings:
        try:
            yield from ring.public_keys(moment)
        except NoSigningKey:
            # A region that never had a key pair has no tokens to verify.
            continue
