"""The configuration of the example backend comes from its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.configuration import Configuration, ConfigurationInvalid

COMPLETE = {
    "DEMO_SERVICE_URL": "http://127.0.0.1:8000/",
    "DEMO_API_KEY": "tsk_1",
    "DEMO_CHANNEL": "demo",
    "DEMO_OTHER_CHANNEL": "other",
    "DEMO_EDGE_URL": "http://127.0.0.1:8001/",
    "DEMO_MODERATOR_KEY": "tsk_moderator",
    "DEMO_ISSUER_URL": "http://127.0.0.1:8003/",
}


def test_every_variable_is_read() -> None:
    """URLs have no trailing slash, because an origin has none."""
    assert Configuration.from_environment(COMPLETE) == Configuration(
        service_url="http://127.0.0.1:8000",
        api_key="tsk_1",
        channel="demo",
        other_channel="other",
        edge_url="http://127.0.0.1:8001",
        moderator_key="tsk_moderator",
        issuer_url="http://127.0.0.1:8003",
    )


@pytest.mark.parametrize("variable", COMPLETE)
def test_a_missing_or_empty_variable_is_named(variable: str) -> None:
    """Each of them is required."""
    without = {name: value for name, value in COMPLETE.items() if name != variable}
    for environment in (without, COMPLETE | {variable: ""}):
        with pytest.raises(ConfigurationInvalid, match=variable):
            Configuration.from_environment(environment)


def test_the_api_key_may_be_in_a_file(tmp_path: Path) -> None:
    """The file takes precedence. One that can't be read is named."""
    file = tmp_path / "api-key"
    environment = COMPLETE | {"DEMO_API_KEY_FILE": str(file)}
    with pytest.raises(ConfigurationInvalid, match=str(file)):
        Configuration.from_environment(environment)
    file.write_text("tsk_2\n")
    assert Configuration.from_environment(environment).api_key == "tsk_2"
