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
        trusted: the proxies whose X-Forwarded-Prefix takes its place.
    """
    if not root_path and not trusted:
        return application  # The usual case, which costs nothing.
    return _Mounted(application, root_path, trusted)


class _Mounted:
    """Moves the prefix from `PATH_INFO` to `SCRIPT_NAME`, unless the proxy has removed it.

    A path without the prefix is served too: probes reach the service directly.
    """

    def __init__(
        self, application: WSGIApplication, root_path: str, trusted: Collection[net.Network]
    ) -> None:
        self._application = application
        self._root_path = root_path
        self._trusted = trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        prefix = self._prefix_of(environ)
        # A request that must wait comes again with the same environ.
        if prefix and environ.get("SCRIPT_NAME", "") != prefix:
            environ["SCRIPT_NAME"] = prefix
            if environ["PATH_INFO"].startswith(f"{prefix}/"):
                environ["PATH_INFO"] = environ["PATH_INFO"][len(prefix) :]
        return self._application(environ, start_response)

    def _prefix_of(self, environ: WSGIEnvironment) -> str:
        forwarded = str(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
        is_used = net.is_path_prefix(forwarded) and net.is_in(environ["REMOTE_ADDR"], self._trusted)
        return forwarded if is_used else self._root_path
