"""`tokensvc` in a process that is forked from one that has imported everything.

`python -m tests.docs.warm_tokensvc SOCKET` waits for calls; `warm_client.py` makes one. To import
everything takes a second, and the pages have a hundred commands.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from typing import NoReturn

from tests.docs.warm_client import LARGEST_CALL
from tokensvc.arns import Region
from tokensvc.aws import load_descriptions
from tokensvc.cli.main import main

STANDARD_STREAMS = (0, 1, 2)


def answer_calls(path: str) -> NoReturn:
    """Accept calls, one process for each, until this process is ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # No process is waited for.
    load_descriptions(Region("us-west-2"))
    load_descriptions(Region("us-west-2"), "dynamodb")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        gc.freeze()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    """Run one command with the streams, folder and environment of the client."""
    message, descriptors, _, _ = socket.recv_fds(connection, LARGEST_CALL, len(STANDARD_STREAMS))
    call = json.loads(message)
    for descriptor, stream in zip(descriptors, STANDARD_STREAMS, strict=True):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(call["folder"])
    os.umask(call["umask"])
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv = ["tokensvc", *call["arguments"]]
    status: object = 0
    try:
        main()
    except SystemExit as exc:
        status = exc.code
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(json.dumps(status or 0).encode())
    os._exit(0)


if __name__ == "__main__":
    answer_calls(sys.argv[1])
