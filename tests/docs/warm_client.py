"""Calls `tokensvc` in the process of `warm_tokensvc.py`: `warm_client.py SOCKET ARGUMENT...`.

It imports little, so that it starts fast.
"""

from __future__ import annotations

import json
import os
import socket
import sys

LARGEST_CALL = 100_000
LARGEST_ANSWER = 100


def call(path: str, arguments: list[str]) -> int:
    """Run the command with the streams, folder and environment of this process.

    Returns:
        its exit status.
    """
    umask = os.umask(0o077)
    message = {
        "arguments": arguments,
        "folder": os.getcwd(),  # noqa: PTH109 # pathlib takes longer than everything else.
        "umask": umask,
        "environment": dict(os.environ),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(path)
        socket.send_fds(connection, [json.dumps(message).encode()], [0, 1, 2])
        return int(json.loads(connection.recv(LARGEST_ANSWER)))


if __name__ == "__main__":
    sys.exit(call(sys.argv[1], sys.argv[2:]))
