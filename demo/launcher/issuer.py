"""Serve an identity provider for tests, oidc-provider-mock, on a socket that is already bound.

python -m demo.launcher.issuer DESCRIPTOR
"""

from __future__ import annotations

import socket
import sys

import oidc_provider_mock
from werkzeug.serving import make_server


def main(descriptor: int) -> None:
    """Serve until the process is stopped. Each start makes another key."""
    with socket.socket(fileno=descriptor) as listener:
        host, port = listener.getsockname()
        listener.listen()
        app = oidc_provider_mock.app()
        make_server(host, port, app, threaded=True, fd=descriptor).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
