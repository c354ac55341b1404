"""The spans of a request: what it causes, for traces. `Span` itself records nothing.

While code runs for a request, the span of that request is current in its thread (`CURRENT`). Work
that continues in another thread takes the span along, and makes it current there (`within`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Final

Attributes = Mapping[str, str | int | bool]
"""What a span says about its work. Never a token, an API key, a viewer ID or a path with IDs."""

NOTHING: Final[Attributes] = MappingProxyType({})


class Span:
    """A part of the work for a request. Its methods never wait or raise.

    Attributes:
        trace_id: identifies the trace, 32 hex digits; "" if nothing is recorded.
    """

    trace_id: str = ""

    def begin(self, name: str, attributes: Attributes) -> Span:
        """The span of a call that begins now, as a part of this one."""
        del name, attributes
        return self

    def end(self, attributes: Attributes = NOTHING, *, error: str = "") -> None:
        """The work has ended: with the code of an error, or with "" if it has not failed."""

    def rename(self, name: str) -> None:
        """Give the span another name: of a request, its route is known when it has ended."""

    def note(self, name: str, seconds: float, attributes: Attributes, *, error: str = "") -> None:
        """Add a part that ends now and took that time."""

    def header_fields(self) -> Mapping[str, str]:
        """The header fields with which another service continues the trace."""
        return {}


NO_SPAN: Final = Span()

CURRENT: Final[ContextVar[Span]] = ContextVar("span", default=NO_SPAN)
"""The span of the request for which this code runs; `NO_SPAN` if there is none."""


class within:  # noqa: N801 # It is used like a function: `with within(span):`.
    """Makes a span the current one in the block, in this thread."""

    __slots__ = ("_span", "_token")
    _token: Token[Span]

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        self._token = CURRENT.set(self._span)

    def __exit__(self, *_: object) -> None:
        CURRENT.reset(self._token)


def first_of(spans: Iterable[Span]) -> Span:
    """The first that belongs to a request: work for several is recorded in the trace of one."""
    return next((span for span in spans if span is not NO_SPAN), NO_SPAN)
