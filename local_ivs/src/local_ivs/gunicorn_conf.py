"""The gunicorn configuration of Local IVS. The command `local-ivs` starts gunicorn with it."""

from __future__ import annotations

from gunicorn.http import wsgi

wsgi_app = "local_ivs.wsgi:app_from_environment()"

# One process: Local IVS counts request rates and the latest requests in memory.
workers = 1
worker_class = "gthread"
threads = 32  # players wait for segments, and injected faults may be slow
# A player sends a request every 2 s. Its connection must not be closed in between.
keepalive = 75  # seconds
graceful_timeout = 2  # seconds; players retry anyway
control_socket_disable = True


class _Response(wsgi.Response):  # type: ignore[misc] # gunicorn ships no types.
    """A response with the Date of the application, whose clock can be moved."""

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        super().process_headers(headers)
        self.headers += [header for header in headers if header[0] == "Date"]

    def default_headers(self) -> list[str]:
        lines: list[str] = super().default_headers()
        return [line for line in lines if not line.startswith("Date:")]


def post_fork(server: object, worker: object) -> None:  # noqa: ARG001 - gunicorn's names
    """Let the application date its responses: gunicorn has no setting for it."""
    wsgi.Response = _Response
