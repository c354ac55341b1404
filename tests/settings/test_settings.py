"""Settings: sources, precedence, and all problems reported at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.access.grants import Grant
from tokensvc.arns import ChannelArn, ChannelPattern, parse_region
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.terms import Terms
from tokensvc.settings import Settings, load_settings
from tokensvc.token.claims import Resolution

ARN = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
MINIMAL = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
"""

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads settings from a file with the given text and from the given variables."""

    def load_text(text: str = MINIMAL, environment: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "tokensvc.toml"
        path.write_text(text)
        return load_settings(path, environment or {})

    return load_text


def rules_broken(load: Load, text: str, **environment: str) -> dict[str, str]:
    """The fields that are reported, with their rules."""
    with pytest.raises(SettingsInvalid) as caught:
        load(text, environment)
    assert all(problem.message.endswith((".", "?")) for problem in caught.value.problems)
    return {problem.field: problem.rule for problem in caught.value.problems}


def fields_refused(path: Path) -> set[str]:
    """The fields that are reported; none if the file loads."""
    try:
        load_settings(path, {})
    except SettingsInvalid as exc:
        return {problem.field for problem in exc.problems}
    return set()


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


def test_all_problems_are_reported_at_once(load: Load) -> None:
    """Mistakes of every kind, in the file and in the environment."""
    text = """
    titel = "x"
    [ivs]
    account_id = "12345"
    regions = ["us-west-2"]
    [playback]
    ttl_seconds = 900
    max_ttl_seconds = 600
    [state]
    url = "dynamodb:table"
    [grants.web]
    channels = ["nowhere"]
    max_ttl = 3
    [custodian]
    """
    assert rules_broken(
        load,
        text,
        TOKENSVC_SERVICE__PROT="8001",
        TOKENSVC_SERVICE__WORKERS="many",
        TOKENSVC_SERVICE__HOST="",
        TOKENSVC_ROTATION__CLOCK_SKEW_SECONDS="-1",
    ) == {
        "titel": "unknown_key",
        "custodian": "unknown_key",
        "TOKENSVC_SERVICE__HOST": "empty",
        "TOKENSVC_SERVICE__PROT": "unknown_variable",
        "service.workers (TOKENSVC_SERVICE__WORKERS)": "int_parsing",
        "rotation.clock_skew_seconds (TOKENSVC_ROTATION__CLOCK_SKEW_SECONDS)": (
            "greater_than_equal"
        ),
        "ivs.account_id": "string_pattern_mismatch",
        "grants.web.max_ttl": "unknown_key",
        "playback.ttl_seconds": "above_max_ttl_seconds",
        "state.url": "unknown_scheme",
        "custody.key_encryption_secret_file": "one_secret",
    }


@pytest.mark.parametrize(
    ("lines", "field", "rule"),
    [
        ('[channels]\nx = "nope"', "channels.x", "value_error"),
        ("[channels]\nx = 3", "channels.x", "value_error"),
        (f'[channels]\n"X Y" = "{ARN}"', "channels.X Y", "string_pattern_mismatch"),
        (
            f'[channels]\nx = "{ARN.replace("us-west-2", "eu-west-1")}"',
            "channels.x",
            "other_region",
        ),
        (
            f'[channels]\nx = "{ARN.replace("123456789012", "210987654321")}"',
            "channels.x",
            "other_account",
        ),
        ('[grants.web]\nchannels = ["x"]', "grants.web.channels", "unknown_channel"),
        (
            '[grants.web]\nchannels = ["arn:aws:ivs:eu-west-1:123456789012:channel/*"]',
            "grants.web.channels",
            "other_region",
        ),
        (
            f'[grants.web]\nchannels = ["{ARN.replace("us-west-2", "eu-west-1")}"]',
            "grants.web.channels",
            "other_region",
        ),
        (
            '[grants.web]\nchannels = ["arn:aws:ivs:us-west-2:210987654321:channel/*"]',
            "grants.web.channels",
            "other_account",
        ),
        (
            f'[grants.web]\nchannels = ["{ARN.replace("123456789012", "210987654321")}"]',
            "grants.web.channels",
            "other_account",
        ),
        (
            f'[rotation]\ncanary_channels = ["{ARN.replace("123456789012", "210987654321")}"]',
            "rotation.canary_channels",
            "other_account",
        ),
        ("[grants.web]\nchannels = []", "grants.web.channels", "too_short"),
        ("[grants.web]", "grants.web.channels", "missing"),
        ("[grants]\nweb = 3", "grants.web", "model_type"),
        (
            f'[grants.web]\nchannels = ["{ARN}"]\nmax_ttl_seconds = 3601',
            "grants.web.max_ttl_seconds",
            "above_max_ttl_seconds",
        ),
        (
            f'[grants.web]\nchannels = ["{ARN}"]\nallowed_origins = ["example.com/path"]',
            "grants.web.allowed_origins.0",
            "value_error",
        ),
        (
            f'[grants.web]\nchannels = ["{ARN}"]\nallowed_origins = [3]',
            "grants.web.allowed_origins.0",
            "string_type",
        ),
        ("[playback]\nttl_seconds = 1.5", "playback.ttl_seconds", "int_from_float"),
        ("[rotation]\nring_max_age_seconds = 9", "rotation.state_refresh_seconds", None),
        ("[state]\naccess_max_age_seconds = 9", "rotation.state_refresh_seconds", None),
        ('[state]\nurl = "mysql:x"', "state.url", "unknown_scheme"),
        ('[state]\nurl = "sqlite:"', "state.url", "unknown_scheme"),
        ("[state]\nurl = 3", "state.url", "string_type"),
        ("[service]\nport = 65536", "service.port", "less_than_equal"),
        ("[demo]", "demo", "unknown_key"),
        (
            '[rotation]\ncanary_channels = ["nowhere"]',
            "rotation.canary_channels",
            "unknown_channel",
        ),
        (
            f'[rotation]\ncanary_channels = ["{ARN}", "{ARN}2"]',
            "rotation.canary_channels",
            "one_per_region",
        ),
        (
            f'[rotation]\ncanary_channels = ["{ARN.replace("us-west-2", "eu-west-1")}"]',
            "rotation.canary_channels",
            "other_region",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_field_and_rule(
    load: Load, lines: str, field: str, rule: str | None
) -> None:
    """The other settings of the same file are still checked."""
    broken = rules_broken(load, MINIMAL + lines)
    assert broken[field] == (rule or "refresh_interval_too_long")


def test_a_channel_of_another_account_is_refused_in_the_environment_too(load: Load) -> None:
    """The service can't serve it, wherever it is named."""
    other = ARN.replace("123456789012", "210987654321")
    assert rules_broken(
        load, MINIMAL, TOKENSVC_CHANNELS__MAIN=other, TOKENSVC_GRANTS__WEB__CHANNELS=other
    ) == {"channels.main": "other_account", "grants.web.channels": "other_account"}


def test_the_refresh_interval_may_be_50_percent_of_the_maximum_age(load: Load) -> None:
    """Then one failed read of the state is harmless."""
    lines = "[rotation]\nring_max_age_seconds = 10\n[state]\naccess_max_age_seconds = 10"
    settings = load(MINIMAL + lines)
    assert settings.rotation.state_refresh_seconds == 5


def test_a_secret_is_refused_in_the_file(load: Load) -> None:
    """A settings file may be copied or committed."""
    text = MINIMAL.replace("key_encryption_secret_file", "key_encryption_secret")
    assert rules_broken(load, text) == {"custody.key_encryption_secret": "secret_in_file"}


def test_the_rules_of_the_current_secret_apply_to_the_previous_one(load: Load) -> None:
    """It is refused in the file, in the folder of the keys, and if it is set in two ways."""
    field = "custody.previous_key_encryption_secret"
    assert rules_broken(load, f'{MINIMAL}previous_key_encryption_secret = "x"') == {
        field: "secret_in_file"
    }
    assert rules_broken(load, f'{MINIMAL}previous_key_encryption_secret_file = "keys/secret"') == {
        f"{field}_file": "secret_beside_keys"
    }
    assert rules_broken(
        load,
        f'{MINIMAL}previous_key_encryption_secret_file = "previous"',
        TOKENSVC_CUSTODY__PREVIOUS_KEY_ENCRYPTION_SECRET="x",
    ) == {f"{field}_file": "one_secret"}


def test_a_secret_in_the_folder_of_the_keys_is_refused(load: Load) -> None:
    """A copy of that folder must not contain the secret."""
    text = MINIMAL.replace('"secret"', '"keys/../keys/secret"')
    assert rules_broken(load, text) == {"custody.key_encryption_secret_file": "secret_beside_keys"}


@pytest.mark.parametrize(
    ("variable", "similar"),
    [
        ("TOKENSVC_IVS__REGION", "TOKENSVC_IVS__REGIONS"),
        ("TOKENSVC_TTL_SECONDS", "TOKENSVC_PLAYBACK__TTL_SECONDS"),
        ("TOKENSVC_QQQQ", None),
        ("TOKENSVC_GRANTS__CHANNELS", None),
    ],
)
def test_an_unknown_variable_is_reported_with_the_most_similar_name(
    load: Load, variable: str, similar: str | None
) -> None:
    """A typing error in the name of a variable would otherwise go unnoticed."""
    with pytest.raises(SettingsInvalid) as caught:
        load(MINIMAL, {variable: "x"})
    (problem,) = caught.value.problems
    assert (problem.field, problem.rule) == (variable, "unknown_variable")
    assert similar is None or similar in problem.message


@pytest.mark.parametrize("content", [b"[ivs\n", b"[ivs]\n[ivs]\n"])
def test_a_file_that_is_not_toml_is_reported(tmp_path: Path, content: bytes) -> None:
    """The error has the path of the file."""
    path = tmp_path / "tokensvc.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match="TOML") as caught:
        load_settings(path, {})
    assert str(path) in caught.value.detail


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    """A file that is named is never ignored."""
    with pytest.raises(SettingsInvalid, match="No such file or directory"):
        load_settings(tmp_path / "none.toml", {})


@given(
    ttl_seconds=st.integers(1, 4_000),
    max_ttl_seconds=st.integers(1, 4_000),
    grant_ttl_seconds=st.integers(1, 4_000),
)
def test_lifetimes_above_the_maximum_are_refused(
    tmp_path_factory: pytest.TempPathFactory,
    ttl_seconds: int,
    max_ttl_seconds: int,
    grant_ttl_seconds: int,
) -> None:
    """All lifetimes up to the maximum are accepted."""
    path = tmp_path_factory.getbasetemp() / "lifetimes.toml"
    path.write_text(
        f'{MINIMAL}\n[grants.g]\nchannels=["{ARN}"]\nmax_ttl_seconds={grant_ttl_seconds}\n'
        f"[playback]\nttl_seconds={ttl_seconds}\nmax_ttl_seconds={max_ttl_seconds}\n"
    )
    wrong = {
        field
        for field, seconds in {
            "playback.ttl_seconds": ttl_seconds,
            "grants.g.max_ttl_seconds": grant_ttl_seconds,
        }.items()
        if seconds > max_ttl_seconds
    }
    assert fields_refused(path) == wrong
