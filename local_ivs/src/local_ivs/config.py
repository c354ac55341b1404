"""The settings of Local IVS: its data folder, throttling and delay."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_ivs.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_FILE = "local-ivs.sqlite3"
SWITCHES = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}


@dataclass(frozen=True)
class LocalIvsConfig:
    """The settings of one Local IVS.

    Attributes:
        data_path: The folder of the state file; created if it doesn't exist.
        throttle: Whether the rates that IVS documents for each operation are enforced.
        effect_delay_seconds: The time until the import or delete of a key pair takes effect at
            the edge.
    """

    data_path: Path
    throttle: bool = True
    effect_delay_seconds: float = 0.0

    @property
    def state_file(self) -> Path:
        """The SQLite file inside the folder."""
        return self.data_path / STATE_FILE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> LocalIvsConfig:
        """The settings of `LOCAL_IVS_DATA`, `LOCAL_IVS_THROTTLE`, `LOCAL_IVS_EFFECT_DELAY_SECONDS`.

        Raises:
            ConfigError: variables are missing or invalid; the message names all of them.
        """
        problems: list[str] = []
        data = environment.get("LOCAL_IVS_DATA", "")
        if not data:
            problems.append("LOCAL_IVS_DATA must be set to the folder for Local IVS's state")
        throttle = SWITCHES.get(environment.get("LOCAL_IVS_THROTTLE", "on").lower())
        if throttle is None:
            problems.append("LOCAL_IVS_THROTTLE must be on or off")
        delay_seconds = _seconds(environment.get("LOCAL_IVS_EFFECT_DELAY_SECONDS", "0"))
        if delay_seconds is None:
            problems.append("LOCAL_IVS_EFFECT_DELAY_SECONDS must be a number of seconds, 0 to 3600")
        if problems or throttle is None or delay_seconds is None:
            raise ConfigError("; ".join(problems) + ".")
        return cls(
            data_path=Path(data).absolute(), throttle=throttle, effect_delay_seconds=delay_seconds
        )


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= 3600 else None  # noqa: PLR2004 - one hour, as the message says
