"""Mistakes in settings: all of them are reported at once, each with its field and rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings.files import ARN, MINIMAL, Load
from tokensvc.errors import SettingsInvalid
from tokensvc.settings import load_settings


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
    url = "mysql:table"
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
        ('[state]\nurl = "dynamodb:"', "state.url", "unknown_scheme"),
        ('[state]\nurl = "dynamodb:us-west-2/x"', "state.url", "table_address"),
        ('[state]\nurl = "dynamodb:tokensvc"', "state.url", "table_address"),
        ('[state]\nurl = "dynamodb:us-west-2/tokensvc"', "custody.url", "files_of_a_fleet"),
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


WEBHOOK = """
[notify]
webhook_url = "https://hooks.example.com/tokensvc?key=private"
webhook_secret_file = "webhook-secret"
"""


def test_a_webhook_needs_one_secret_and_a_secret_a_webhook(load: Load, tmp_path: Path) -> None:
    """The secret itself is not allowed in the file."""
    assert load(MINIMAL + WEBHOOK).notify.webhook_secret_file == tmp_path / "webhook-secret"
    without_secret = WEBHOOK.replace("webhook_secret_file", "#")
    without_url = WEBHOOK.replace("webhook_url", "#")
    environment = {"TOKENSVC_NOTIFY__WEBHOOK_SECRET": "whsec_x"}
    assert load(MINIMAL + without_secret, environment).notify.webhook_secret is not None
    one_secret = {"notify.webhook_secret_file": "one_secret"}
    assert rules_broken(load, MINIMAL + without_secret) == one_secret
    assert rules_broken(load, MINIMAL + WEBHOOK, **environment) == one_secret
    assert rules_broken(load, MINIMAL + without_url) == {"notify.webhook_url": "missing"}
    in_file = WEBHOOK.replace("webhook_secret_file", "webhook_secret")
    assert rules_broken(load, MINIMAL + in_file)["notify.webhook_secret"] == "secret_in_file"


HOOK = """
[entitlement]
url = "https://hooks.example.com/entitlement?key=private"
secret_file = "entitlement-secret"
[grants.paid]
channels = ["demo"]
entitlement = true
"""


def test_an_entitlement_hook_needs_one_secret_and_a_grant_that_asks_it(
    load: Load, tmp_path: Path
) -> None:
    """A hook that no grant asks would refuse nothing, and a grant can't ask without one."""
    minimal = MINIMAL + f'[channels]\ndemo = "{ARN}"\n'
    assert load(minimal + HOOK).entitlement.secret_file == tmp_path / "entitlement-secret"
    assert load(minimal + HOOK).grants_by_name()["paid"].entitlement
    environment = {"TOKENSVC_ENTITLEMENT__SECRET": "whsec_x"}
    one_secret = {"entitlement.secret_file": "one_secret"}
    assert rules_broken(load, minimal + HOOK, **environment) == one_secret
    assert rules_broken(load, minimal + HOOK.replace("secret_file", "#")) == one_secret
    assert rules_broken(load, minimal + HOOK.replace("= true", "= false")) == {
        "entitlement.url": "no_grant_asks"
    }
    assert rules_broken(load, minimal + HOOK.replace("url", "#")) == {
        "entitlement.url": "missing",
        "grants.paid.entitlement": "no_entitlement_url",
    }
    private = HOOK.replace("https:", "http:")
    assert rules_broken(load, minimal + private) == {"entitlement.url": "value_error"}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/private",
        "ftp://127.0.0.1/private",
        "hooks.example.com/private",
        "https://",
        "https://user:private@hooks.example.com/",
        "https://hooks.example.com/private#part",
        "https://hooks.example.com/private path",
        "https://hooks.example.com/private\\u007f",
        "https://hooks.example.com:port/private",
        "https://hööks.example.com/private",
        "https://[::1/private",
    ],
)
def test_a_webhook_that_would_not_be_sent_safely_is_refused(load: Load, url: str) -> None:
    """The message does not repeat the URL, which may contain a secret."""
    text = MINIMAL + WEBHOOK.replace("https://hooks.example.com/tokensvc?key=private", url)
    with pytest.raises(SettingsInvalid) as refused:
        load(text)
    (problem,) = refused.value.problems
    assert problem.field == "notify.webhook_url"
    assert "private" not in problem.message


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost", "[::1]:9000"])
def test_a_webhook_on_loopback_needs_no_tls(load: Load, host: str) -> None:
    """For development and tests."""
    url = f"http://{host}/hook"
    text = MINIMAL + WEBHOOK.replace("https://hooks.example.com/tokensvc?key=private", url)
    assert load(text).notify.webhook_url == url
