"""Settings: their defaults, their sources, and which of them takes precedence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.files import ARN, MINIMAL, Load
from tokensvc.access.grants import Grant
from tokensvc.arns import ChannelArn, ChannelPattern, parse_region
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.terms import Terms
from tokensvc.settings import load_settings
from tokensvc.token.claims import Resolution


def test_a_minimal_file_gets_the_defaults_of_the_design(load: Load) -> None:
    """Only the account, the regions and the secret are required."""
    settings = load()
    assert settings.rotation_terms() == Terms(60, 3_600, 3_600, 10)
    assert settings.playback_limits().ttl_seconds == 300
    assert settings.playback_limits().allow_plain_urls is False
    assert settings.directory_terms().fresh_seconds == 300
    assert settings.directory_terms().usable_while_failing_seconds == 86_400
    assert (settings.service.host, settings.service.port) == ("127.0.0.1", 8_000)
    assert settings.rotation.state_refresh_seconds == 5
    assert settings.state.access_max_age_seconds == 120


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "0.0.0.0:8000"), ("::1", "[::1]:8000"), ("localhost", "localhost:8000")],  # noqa: S104 # Only read.
)
def test_the_address_has_the_form_that_gunicorn_reads(load: Load, host: str, address: str) -> None:
    """An IPv6 address is in brackets, because it contains colons."""
    assert load(MINIMAL + f'[service]\nhost = "{host}"').service.address == address


def test_relative_paths_are_relative_to_the_folder_of_the_file(load: Load, tmp_path: Path) -> None:
    """The working directory of the command does not matter."""
    settings = load()
    assert settings.state.url == f"sqlite:{tmp_path}/keys/state.sqlite3"
    assert settings.custody.url == f"file:{tmp_path}/keys"
    assert settings.custody.key_encryption_secret_file == tmp_path / "secret"


def test_absolute_paths_are_not_changed(load: Load) -> None:
    """The folder of the settings file does not matter."""
    settings = load(MINIMAL + '[state]\nurl = "sqlite:/var/lib/tokensvc/state.sqlite3"')
    assert settings.state.url == "sqlite:/var/lib/tokensvc/state.sqlite3"


def test_the_environment_takes_precedence_over_the_file(load: Load) -> None:
    """Numbers, booleans, lists and names are parsed from text."""
    settings = load(
        MINIMAL + "[playback]\nttl_seconds = 200",
        {
            "TOKENSVC_PLAYBACK__TTL_SECONDS": "250",
            "TOKENSVC_PLAYBACK__ALLOW_PLAIN_URLS": "true",
            "TOKENSVC_IVS__REGIONS": "us-west-2, eu-west-1",
            "TOKENSVC_CHANNELS__MAIN": ARN,
            "TOKENSVC_GRANTS__WEB__CHANNELS": "main",
            "TOKENSVC_CONFIG": "elsewhere.toml",
            "HOME": "/root",
        },
    )
    assert settings.playback.ttl_seconds == 250
    assert settings.playback.allow_plain_urls is True
    assert settings.ivs.regions == ("us-west-2", "eu-west-1")
    assert settings.channels["main"] == ChannelArn.parse(ARN)
    assert settings.grants["web"].channels == ("main",)


def test_the_variables_of_a_kubernetes_service_named_tokensvc_are_ignored(load: Load) -> None:
    """Only in a pod; elsewhere such a variable is a typing error and is reported."""
    links = {
        "TOKENSVC_SERVICE_HOST": "10.0.0.7",
        "TOKENSVC_SERVICE_PORT": "8000",
        "TOKENSVC_SERVICE_PORT_HTTP": "8000",
        "TOKENSVC_PORT": "tcp://10.0.0.7:8000",
        "TOKENSVC_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "TOKENSVC_PORT_8000_TCP_PROTO": "tcp",
        "TOKENSVC_PORT_8000_TCP_PORT": "8000",
        "TOKENSVC_PORT_8000_TCP_ADDR": "10.0.0.7",
    }
    in_a_pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert load(MINIMAL, links | in_a_pod).service.port == 8_000
    with pytest.raises(SettingsInvalid) as refusal:
        load(MINIMAL, links)
    assert len(refusal.value.problems) == 8
    with pytest.raises(SettingsInvalid):
        load(MINIMAL, in_a_pod | {"TOKENSVC_PLAYBACK_TTL_SECONDS": "60"})


def test_settings_can_come_from_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container needs no file."""
    monkeypatch.chdir(tmp_path)
    secret = "c2VjcmV0" * 4
    settings = load_settings(
        None,
        {
            "TOKENSVC_IVS__ACCOUNT_ID": "123456789012",
            "TOKENSVC_IVS__REGIONS": "us-west-2",
            "TOKENSVC_CUSTODY__KEY_ENCRYPTION_SECRET": secret,
        },
    )
    assert settings.custody.key_encryption_secret is not None
    assert settings.custody.key_encryption_secret.get_secret_value() == secret
    assert secret not in repr(settings)
    assert settings.custody.url == f"file:{tmp_path}/keys"


def test_the_file_is_found_by_variable_and_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--config`, otherwise TOKENSVC_CONFIG, otherwise ./tokensvc.toml."""
    monkeypatch.chdir(tmp_path)
    Path("tokensvc.toml").write_text(MINIMAL + "[service]\nport = 8001")
    Path("second.toml").write_text(MINIMAL + "[service]\nport = 8002")
    Path("third.toml").write_text(MINIMAL + "[service]\nport = 8003")
    by_variable = {"TOKENSVC_CONFIG": "second.toml"}
    assert load_settings(None, {}).service.port == 8001
    assert load_settings(None, by_variable).service.port == 8002
    assert load_settings(Path("third.toml"), by_variable).service.port == 8003


def test_channel_names_in_grants_are_replaced_by_arns(load: Load) -> None:
    """ARNs and patterns are not changed."""
    pattern = "arn:aws:ivs:us-west-2:123456789012:channel/*"
    settings = load(
        MINIMAL
        + f'[channels]\nmain = "{ARN}"\n'
        + f'[grants.web]\nchannels = ["main", "{pattern}"]\nmaximum_resolution = "HD"\n'
        + 'max_ttl_seconds = 60\nallowed_origins = ["https://*.example.com"]\n'
        + 'viewer_id = "required"\n'
    )
    assert settings.grants_by_name() == {
        "web": Grant(
            name="web",
            channels=frozenset({ChannelPattern.parse(ARN), ChannelPattern.parse(pattern)}),
            max_ttl_seconds=60,
            allowed_origins=("https://*.example.com",),
            maximum_resolution=Resolution.HD,
            viewer_id="required",
        )
    }


def test_each_region_has_the_canary_channel_in_that_region(load: Load) -> None:
    """A region may have no canary channel."""
    settings = load(
        f'{MINIMAL}[channels]\nmain = "{ARN}"\n[rotation]\ncanary_channels = ["main"]\n',
        {"TOKENSVC_IVS__REGIONS": "us-west-2,eu-west-1"},
    )
    assert settings.canary_channel(parse_region("us-west-2")) == ChannelArn.parse(ARN)
    assert settings.canary_channel(parse_region("eu-west-1")) is None


def test_the_refresh_interval_may_be_50_percent_of_the_maximum_age(load: Load) -> None:
    """Then one failed read of the state is harmless."""
    lines = "[rotation]\nring_max_age_seconds = 10\n[state]\naccess_max_age_seconds = 10"
    settings = load(MINIMAL + lines)
    assert settings.rotation.state_refresh_seconds == 5


def test_the_address_of_a_table_is_not_a_path(load: Load) -> None:
    """Keys in files are allowed beside it where every process runs on this machine."""
    settings = load(MINIMAL + 'single_host = true\n[state]\nurl = "dynamodb:us-west-2/tokensvc"')
    assert settings.state.url == "dynamodb:us-west-2/tokensvc"
    assert settings.custody.single_host
