"""Settings: what is read, what wins, and every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokensvc.access.grants import Grant
from tokensvc.arns import ChannelArn, parse_region
from tokensvc.claims import Resolution
from tokensvc.errors import SettingsInvalid
from tokensvc.keyring.model import Terms
from tokensvc.settings import Settings, load_settings

ARN = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
LEAST = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
"""

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads settings of that text, in a file of an own folder, and those variables."""

    def load_text(text: str = LEAST, environment: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "tokensvc.toml"
        path.write_text(text)
        return load_settings(path, environment or {})

    return load_text


def rules_broken(load: Load, text: str, **environment: str) -> dict[str, str]:
    """The fields that are reported, each with its rule."""
    with pytest.raises(SettingsInvalid) as caught:
        load(text, environment)
    assert all(problem.message.endswith((".", "?")) for problem in caught.value.problems)
    return {problem.field: problem.rule for problem in caught.value.problems}


def fields_refused(path: Path) -> set[str]:
    """The fields that are reported; none where the file loads."""
    try:
        load_settings(path, {})
    except SettingsInvalid as exc:
        return {problem.field for problem in exc.problems}
    return set()


def test_a_file_with_the_least_gets_the_defaults_of_the_design(load: Load) -> None:
    """Only the account, the regions and the secret have to be given."""
    settings = load()
    assert settings.rotation_terms() == Terms(60, 120, 3_600, 10)
    assert settings.playback_limits().ttl_seconds == 300
    assert settings.playback_limits().allow_plain_urls is False
    assert settings.directory_terms().fresh_seconds == 300
    assert settings.directory_terms().usable_while_failing_seconds == 86_400
    assert (settings.service.host, settings.service.port) == ("127.0.0.1", 8_000)
    assert settings.rotation.state_refresh_seconds == 5
    assert settings.demo is None


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "0.0.0.0:8000"), ("::1", "[::1]:8000"), ("localhost", "localhost:8000")],  # noqa: S104 # Only read.
)
def test_an_address_is_one_that_gunicorn_reads(load: Load, host: str, address: str) -> None:
    """An IPv6 address has colons of its own."""
    assert load(LEAST + f'[service]\nhost = "{host}"').service.address == address


def test_relative_paths_are_those_of_the_files_folder(load: Load, tmp_path: Path) -> None:
    """It doesn't matter where the command is run."""
    settings = load()
    assert settings.state.url == f"sqlite:{tmp_path}/keys/state.sqlite3"
    assert settings.custody.url == f"file:{tmp_path}/keys"
    assert settings.custody.key_encryption_secret_file == tmp_path / "secret"


def test_absolute_paths_stay_as_they_are(load: Load) -> None:
    """An absolute path names its file whatever folder the settings are in."""
    settings = load(LEAST + '[state]\nurl = "sqlite:/var/lib/tokensvc/state.sqlite3"')
    assert settings.state.url == "sqlite:/var/lib/tokensvc/state.sqlite3"


def test_the_environment_wins_over_the_file(load: Load) -> None:
    """Numbers, switches, lists and names are read from text."""
    settings = load(
        LEAST + "[playback]\nttl_seconds = 200",
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


def test_what_kubernetes_sets_beside_a_service_of_our_name_is_no_setting(load: Load) -> None:
    """In a pod; elsewhere such a variable is a typing error, and told."""
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
    assert load(LEAST, links | in_a_pod).service.port == 8_000
    with pytest.raises(SettingsInvalid) as refusal:
        load(LEAST, links)
    assert len(refusal.value.problems) == 8
    with pytest.raises(SettingsInvalid):
        load(LEAST, in_a_pod | {"TOKENSVC_PLAYBACK_TTL_SECONDS": "60"})


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """`--config`, else TOKENSVC_CONFIG, else ./tokensvc.toml."""
    monkeypatch.chdir(tmp_path)
    Path("tokensvc.toml").write_text(LEAST + "[service]\nport = 8001")
    Path("second.toml").write_text(LEAST + "[service]\nport = 8002")
    Path("third.toml").write_text(LEAST + "[service]\nport = 8003")
    by_variable = {"TOKENSVC_CONFIG": "second.toml"}
    assert load_settings(None, {}).service.port == 8001
    assert load_settings(None, by_variable).service.port == 8002
    assert load_settings(Path("third.toml"), by_variable).service.port == 8003


def test_grants_name_channels_by_arn_in_the_end(load: Load) -> None:
    """A configured name stands for its ARN; ARNs and patterns stand for themselves."""
    pattern = "arn:aws:ivs:us-west-2:123456789012:channel/*"
    settings = load(
        LEAST
        + f'[channels]\nmain = "{ARN}"\n'
        + f'[grants.web]\nchannels = ["main", "{pattern}"]\nmaximum_resolution = "HD"\n'
        + 'max_ttl_seconds = 60\nallowed_origins = ["https://*.example.com"]\n'
        + 'viewer_id = "required"\n'
    )
    assert settings.grants_by_name() == {
        "web": Grant(
            name="web",
            channels=(ARN, pattern),
            max_ttl_seconds=60,
            allowed_origins=("https://*.example.com",),
            maximum_resolution=Resolution.HD,
            viewer_id="required",
        )
    }


def test_each_region_has_the_canary_channel_that_is_in_it(load: Load) -> None:
    """Named, or by its ARN; a region without one is not asked."""
    settings = load(
        f'{LEAST}[channels]\nmain = "{ARN}"\n[rotation]\ncanary_channels = ["main"]\n',
        {"TOKENSVC_IVS__REGIONS": "us-west-2,eu-west-1"},
    )
    assert settings.canary_channel(parse_region("us-west-2")) == ChannelArn.parse(ARN)
    assert settings.canary_channel(parse_region("eu-west-1")) is None


def test_all_problems_are_told_at_once(load: Load) -> None:
    """Mistakes of every kind, in the file and in the environment, in one go."""
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
        "state.url": "not_yet",
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
        ("[rotation]\nview_max_age_seconds = 9", "rotation.state_refresh_seconds", None),
        ('[state]\nurl = "mysql:x"', "state.url", "unknown_scheme"),
        ('[state]\nurl = "sqlite:"', "state.url", "unknown_scheme"),
        ("[state]\nurl = 3", "state.url", "string_type"),
        ("[service]\nport = 65536", "service.port", "less_than_equal"),
        ("[demo]", "demo.channel", "missing"),
        (
            '[rotation]\ncanary_channels = ["nowhere"]',
            "rotation.canary_channels",
            "unknown_channel",
        ),
        (
            f'[rotation]\ncanary_channels = ["{ARN}", "{ARN}2"]',
            "rotation.canary_channels",
            "one_for_each_region",
        ),
        (
            f'[rotation]\ncanary_channels = ["{ARN.replace("us-west-2", "eu-west-1")}"]',
            "rotation.canary_channels",
            "other_region",
        ),
    ],
)
def test_a_mistake_is_told_with_its_field_and_rule(
    load: Load, lines: str, field: str, rule: str | None
) -> None:
    """One mistake, and the others of the same file still hold."""
    broken = rules_broken(load, LEAST + lines)
    assert broken[field] == (rule or "refreshed_too_seldom")


def test_a_channel_of_another_account_is_refused_in_the_environment_too(load: Load) -> None:
    """Wherever a channel is named, it is one that the service can serve."""
    elsewhere = ARN.replace("123456789012", "210987654321")
    assert rules_broken(
        load, LEAST, TOKENSVC_CHANNELS__MAIN=elsewhere, TOKENSVC_GRANTS__WEB__CHANNELS=elsewhere
    ) == {"channels.main": "other_account", "grants.web.channels": "other_account"}


def test_a_view_may_miss_one_look_at_the_state_and_no_rule_is_broken_at_the_boundary(
    load: Load,
) -> None:
    """Half of the greatest age is the most."""
    settings = load(LEAST + "[rotation]\nview_max_age_seconds = 10")
    assert settings.rotation.state_refresh_seconds == 5


def test_a_secret_is_refused_in_the_file(load: Load) -> None:
    """A settings file is copied and committed, and says so."""
    text = LEAST.replace("key_encryption_secret_file", "key_encryption_secret")
    assert rules_broken(load, text) == {"custody.key_encryption_secret": "secret_in_file"}


def test_the_previous_secret_follows_the_rules_of_the_present_one(load: Load) -> None:
    """Not in the file, not beside the keys, not given twice."""
    field = "custody.previous_key_encryption_secret"
    assert rules_broken(load, f'{LEAST}previous_key_encryption_secret = "x"') == {
        field: "secret_in_file"
    }
    assert rules_broken(load, f'{LEAST}previous_key_encryption_secret_file = "keys/secret"') == {
        f"{field}_file": "secret_beside_keys"
    }
    assert rules_broken(
        load,
        f'{LEAST}previous_key_encryption_secret_file = "previous"',
        TOKENSVC_CUSTODY__PREVIOUS_KEY_ENCRYPTION_SECRET="x",
    ) == {f"{field}_file": "one_secret"}


def test_a_secret_beside_the_keys_is_refused(load: Load) -> None:
    """Whoever copies the folder of the keys must not have the secret too."""
    text = LEAST.replace('"secret"', '"keys/../keys/secret"')
    assert rules_broken(load, text) == {"custody.key_encryption_secret_file": "secret_beside_keys"}


def test_the_demo_is_refused_where_others_can_reach_it(load: Load) -> None:
    """The player page hands out playback URLs to whoever opens it."""
    demo = f"""
    [channels]
    one = "{ARN}"
    [grants.demo]
    channels = ["one"]
    [demo]
    channel = "one"
    other_channel = "two"
    grant = "demo"
    """
    broken = rules_broken(load, LEAST + demo, TOKENSVC_SERVICE__HOST="192.0.2.7")
    assert broken == {"demo.other_channel": "unknown_name", "demo": "demo_on_loopback_only"}


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("TOKENSVC_IVS__REGION", "Did you mean TOKENSVC_IVS__REGIONS?"),
        ("TOKENSVC_TTL_SECONDS", "Did you mean TOKENSVC_PLAYBACK__TTL_SECONDS?"),
        ("TOKENSVC_QQQQ", "There is no such setting."),
        ("TOKENSVC_GRANTS__CHANNELS", "There is no such setting."),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest_name(
    load: Load, written: str, hint: str
) -> None:
    """A variable that nobody reads is a mistake that would stay unseen."""
    with pytest.raises(SettingsInvalid) as caught:
        load(LEAST, {written: "x"})
    (problem,) = caught.value.problems
    assert problem.field == written
    assert hint in problem.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[ivs\n", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"[ivs]\n[ivs]\n", "is not TOML"),
    ],
)
def test_a_file_that_is_not_toml_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    """With the file's name, so that the right one is mended."""
    path = tmp_path / "tokensvc.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=said) as caught:
        load_settings(path, {})
    assert str(path) in caught.value.detail


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A named file is never silently left out."""
    with pytest.raises(SettingsInvalid, match="No such file or directory"):
        load_settings(tmp_path / "none.toml", {})


@given(
    ttl_seconds=st.integers(1, 4_000),
    max_ttl_seconds=st.integers(1, 4_000),
    grant_ttl_seconds=st.integers(1, 4_000),
)
def test_lifetimes_that_load_never_exceed_the_longest(
    tmp_path_factory: pytest.TempPathFactory,
    ttl_seconds: int,
    max_ttl_seconds: int,
    grant_ttl_seconds: int,
) -> None:
    """Exactly the lifetimes within the longest one are taken."""
    path = tmp_path_factory.getbasetemp() / "lifetimes.toml"
    path.write_text(
        f'{LEAST}\n[grants.g]\nchannels=["{ARN}"]\nmax_ttl_seconds={grant_ttl_seconds}\n'
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
