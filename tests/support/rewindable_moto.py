"""moto's server with a memory that can be rewound: for tests that begin again many times.

Private keys can't be copied out of KMS, and a secret that is made again has another ARN. So the
process of the server is copied instead: the copy answers at the same address, and what it has
changed is gone when it ends.

`python -m tests.support.rewindable_moto` listens at a free port, and prints it. It has one thread,
because a fork copies no other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import urllib3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_KEEP, _REWIND, _FORGET = "/keep", "/rewind", "/forget"
_ENDED_TO_FORGET: Final = 3


@dataclass(frozen=True)
class RewindableMoto:
    """The running server.

    Attributes:
        url: its base URL, the endpoint of every service.
        pool: the connections to it.
    """

    url: str
    pool: urllib3.PoolManager

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables with which boto3 finds KMS and Secrets Manager here."""
        return {f"AWS_ENDPOINT_URL_{name}": self.url for name in ("KMS", "SECRETS_MANAGER")}

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is stored now. `rewind` brings it back until the block ends."""
        self._post(_KEEP)
        yield
        self._post(_FORGET)

    def rewind(self) -> None:
        """Bring back what was stored at the beginning of the block."""
        self._post(_REWIND)

    def reset(self) -> None:
        """Delete everything."""
        self._post("/moto-api/reset")

    def _post(self, path: str) -> None:
        answer = self.pool.request("POST", f"{self.url}{path}", timeout=30.0)
        assert answer.status == 200, answer.data


@contextmanager
def rewindable_moto_in(folder: Path) -> Iterator[RewindableMoto]:
    """Run a server until the block ends. Its log is in `folder`."""
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.rewindable_moto"],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            process_group=0,
            text=True,
        )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with urllib3.PoolManager(retries=False) as pool:
            yield RewindableMoto(f"http://127.0.0.1:{port}", pool)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # Its copies too.
        process.wait()
        process.stdout.close()


def main() -> None:
    """Answer requests until the process is killed."""
    asked: list[str] = []
    server = make_server(
        "127.0.0.1", 0, _asking(DomainDispatcherApplication(create_backend_app), asked)
    )
    print(server.server_port, flush=True)  # noqa: T201 # The one that starts it reads it.
    while True:
        server.handle_request()
        match asked.pop() if asked else None:
            case "/keep":
                _answer_in_copies()
            case "/rewind":
                os._exit(0)
            case "/forget":
                os._exit(_ENDED_TO_FORGET)


def _answer_in_copies() -> None:
    """Return in a copy of this process, or in this one when what is kept is to be forgotten."""
    while (copy := os.fork()) != 0:
        _, status = os.waitpid(copy, 0)
        if os.waitstatus_to_exitcode(status) == _ENDED_TO_FORGET:
            return


def _asking(
    app: Callable[..., Iterable[bytes]], asked: list[str]
) -> Callable[..., Iterable[bytes]]:
    """The application, which notes what it is asked to do after the answer."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[Any]:
        if (path := environ["PATH_INFO"]) not in (_KEEP, _REWIND, _FORGET):
            return app(environ, start_response)
        asked.append(path)
        start_response("200 OK", [("Content-Length", "0")])
        return []

    return answer


if __name__ == "__main__":
    main()
