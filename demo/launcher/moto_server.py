"""Serve moto: DynamoDB, Secrets Manager, KMS and STS in memory, on a socket that is already bound.

python -m demo.launcher.moto_server DESCRIPTOR
"""

from __future__ import annotations

import socket
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def main(descriptor: int) -> None:
    """Serve until the process is stopped. Everything is forgotten then."""
    with socket.socket(fileno=descriptor) as listener:
        host, port = listener.getsockname()
        listener.listen()
        application = DomainDispatcherApplication(create_backend_app)
        make_server(host, port, application, threaded=True, fd=descriptor).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
