"""What reverse proxies change about a request: the client's address and the prefix of the path."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from tokensvc import net

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def client_address_of(environ: WSGIEnvironment, trusted: Collection[net.Network]) -> str:
    """The address of the client: of the peer, or as its proxy says, if that is trusted."""
    return net.client_address(
        environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), trusted
    )


def behind_proxies(
    application: WSGIApplication, *, root_path: str, trusted: Collection[net.Network]
) -> WSGIApplication:
    """The application, which finds the prefix of the path in `SCRIPT_NAME` (PEP 3333).

    Args:
        application: the application.
        root_path: the prefix under which the API is published, "" for none.
        trusted: the proxies that may name another prefix, which they have removed.
    """
    if not root_path and not trusted:
        return application  # The usual case, which costs nothing.
    return _Mounted(application, root_path, trusted)


class _Mounted:
    """Moves `root_path` from `PATH_INFO` to `SCRIPT_NAME`, unless the proxy has removed it.

    A path without the prefix is served too: probes reach the service directly. A prefix in
    X-Forwarded-Prefix is never removed from a path: a proxy may pass on what a client sends, and
    the client could then reach paths that the proxy does not let through.
    """

    def __init__(
        self, application: WSGIApplication, root_path: str, trusted: Collection[net.Network]
    ) -> None:
        self._application = application
        self._root_path = root_path
        self._trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        # It is set if a request that must wait comes again, or if the server has set it.
        if not environ.get("SCRIPT_NAME"):
            environ["SCRIPT_NAME"] = self._forwarded_prefix(environ) or self._root_path
            if self._root_path and environ["PATH_INFO"].startswith(f"{self._root_path}/"):
                environ["PATH_INFO"] = environ["PATH_INFO"][len(self._root_path) :]
        return self._application(environ, start_response)

    def _forwarded_prefix(self, environ: WSGIEnvironment) -> str:
        prefix = str(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
        is_used = net.is_path_prefix(prefix) and net.is_in(environ["REMOTE_ADDR"], self._trusted)
        return prefix if is_used else ""
