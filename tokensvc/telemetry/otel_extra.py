"""Whether what traces need is installed: the extra `otel`."""

from __future__ import annotations

from importlib.util import find_spec

from tokensvc.errors import SettingsInvalid

_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def require_otel() -> None:
    """Return if traces can be recorded and sent.

    Raises:
        SettingsInvalid: when the extra is not installed.
    """
    for package in _PACKAGES:
        try:
            is_installed = find_spec(package) is not None
        except ModuleNotFoundError:  # Not even a package above it.
            is_installed = False
        if not is_installed:
            raise SettingsInvalid(
                f"tracing.endpoint is set, and the package {package} is not installed.",
                hint="Install the extra: pip install 'tokensvc[service,otel]'. Or remove"
                " tracing.endpoint.",
            )
