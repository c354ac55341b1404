"""The section `[cors]`: pages that request playback URLs themselves."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from tokensvc.settings.section import Section, split_list

_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def check_exact_origin(value: str) -> str:
    """The origin, in the only form in which a browser sends it (RFC 6454 §6.1).

    Raises:
        ValueError: no browser sends such an `Origin`, or it names more than one.
    """
    if "*" in value:
        raise ValueError(
            f"{value!r} stands for many origins. List each origin: every page of an allowed origin"
            " may use the token of its user."
        )
    if _ORIGIN.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is not an origin as browsers send it: https://HOST or https://HOST:PORT, in"
            " lower case, without a slash at the end. Write international names in their xn-- form."
        )
    parts = urlsplit(value)
    try:
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"{value!r} has a port above 65535.") from exc
    if port == _DEFAULT_PORTS[parts.scheme]:
        raise ValueError(f"{value!r} has the default port, which browsers leave out. Remove it.")
    return value


class CorsSettings(Section):
    """Pages that request playback URLs themselves, with the token of their user. docs/http.md."""

    allowed_origins: Annotated[
        tuple[Annotated[str, AfterValidator(check_exact_origin)], ...],
        BeforeValidator(split_list),
    ] = Field(
        default=(),
        description="Origins of these pages, exactly as browsers send them. If empty, browsers"
        " allow no page of another origin.",
        examples=[["https://www.example.com"]],
    )
