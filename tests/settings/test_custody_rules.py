"""The forms of custody.url, and what each kind of custody needs; all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.files import Load
from tokensvc.errors import SettingsInvalid

IVS = '[ivs]\naccount_id = "123456789012"\nregions = ["eu-west-1", "us-west-2"]\n'


def custody(url: str, **more: str) -> str:
    """A settings file with that custody, and no key-encryption secret."""
    lines = [f'{name} = "{value}"' for name, value in {"url": url, **more}.items()]
    return "\n".join([IVS, "[custody]", *lines])


def rules(load: Load, text: str) -> list[tuple[str, str]]:
    """The field and the rule of each problem; empty when there is none."""
    try:
        load(text)
    except SettingsInvalid as exc:
        return [(problem.field, problem.rule) for problem in exc.problems]
    return []


@pytest.mark.parametrize(
    "url",
    [
        "secretsmanager:tokensvc/",
        "secretsmanager:A-z0/_+=.@-",
        "secretsmanager:" + "x" * 448,
        "kms:alias/tokensvc/",
        "kms:alias/t",
        "kms:alias/" + "x" * 186,
    ],
)
def test_a_custody_in_aws_needs_no_secret(load: Load, url: str) -> None:
    """The URL is used as it is written: it is no path."""
    assert load(custody(url)).custody.url == url


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("secretsmanager:", "secret_prefix"),
        ("secretsmanager:a b", "secret_prefix"),
        ("secretsmanager:ä", "secret_prefix"),
        ("secretsmanager:" + "x" * 449, "secret_prefix"),
        ("kms:", "alias_prefix"),
        ("kms:tokensvc/", "alias_prefix"),
        ("kms:alias/", "alias_prefix"),
        ("kms:alias/aws/tokensvc", "alias_prefix"),
        ("kms:alias/to.kensvc", "alias_prefix"),
        ("kms:alias/" + "x" * 187, "alias_prefix"),
        ("file:", "unknown_scheme"),
        ("vault:x", "unknown_scheme"),
        ("tokensvc", "unknown_scheme"),
    ],
)
def test_a_prefix_that_aws_would_refuse_is_refused_at_the_start(
    load: Load, url: str, rule: str
) -> None:
    """The first key pair would fail otherwise, in the middle of a rotation."""
    assert ("custody.url", rule) in rules(load, custody(url))


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("alias/tokensvc-secrets", None),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", None),
        ("not/alias", "kms_key"),
        ("arn:aws:kms:eu-west-1:1:key/a", "kms_key"),
        ("arn:aws:kms:eu-west-1:123456789012:key/a", "other_region"),
        ("arn:aws:kms:eu-west-1:123456789012:alias/a", "other_region"),
    ],
)
def test_the_kms_key_of_secrets_is_one_that_every_region_has(
    load: Load, key: str, rule: str | None
) -> None:
    """An ARN is of one region, and here are two."""
    text = custody("secretsmanager:tokensvc/", secrets_kms_key=key)
    expected = [] if rule is None else [("custody.secrets_kms_key", rule)]
    assert rules(load, text) == expected


def test_the_kms_key_of_secrets_is_refused_for_another_custody(load: Load) -> None:
    """It would have no effect. The other problem is reported too."""
    found = rules(load, custody("kms:tokensvc/", secrets_kms_key="alias/a"))
    assert found == [("custody.url", "alias_prefix"), ("custody.secrets_kms_key", "other_custody")]


def test_a_former_custody_of_files_has_a_path_and_needs_its_secret(
    load: Load, tmp_path: Path
) -> None:
    """It is read until its last key pair is gone."""
    text = custody("kms:alias/tokensvc/", former_url="file:keys")
    assert rules(load, text) == [("custody.key_encryption_secret_file", "one_secret")]
    with_secret = custody(
        "kms:alias/tokensvc/", former_url="file:keys", key_encryption_secret_file="secret"
    )
    assert load(with_secret).custody.urls == ("kms:alias/tokensvc/", f"file:{tmp_path}/keys")


@pytest.mark.parametrize(
    ("former_url", "rule"),
    [("kms:alias/earlier/", "same_kind"), ("vault:x", "unknown_scheme")],
)
def test_a_former_custody_is_one_of_another_kind(load: Load, former_url: str, rule: str) -> None:
    """A handle names the kind. In AWS it names the key too, whatever the prefix is now."""
    text = custody("kms:alias/tokensvc/", former_url=former_url)
    assert rules(load, text) == [("custody.former_url", rule)]
