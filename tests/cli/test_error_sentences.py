"""The sentences that the command prints when it fails, and its exit status.

The table is `error_sentences.txt`, so that all sentences are reviewed in one place. Every other
test of commands asserts identifiers and data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.cli.ivs.ivs_story import deny, new_channel
from tests.token.p384.openssl import private_key_pem, public_key_pem
from tokensvc.cli.context import operator
from tokensvc.errors import TokensvcError
from tokensvc.state.base import NEW
from tokensvc.state.schema import PREVIOUS, schema_document

TABLE = Path(__file__).with_name("error_sentences.txt")


# --- What precedes the command


def no_state(_desk: Desk) -> None:
    """Settings, and nothing else."""


def no_key_pair(desk: Desk) -> None:
    """An empty state."""
    desk.state.create()


def no_settings(desk: Desk) -> None:
    """The settings file does not exist."""
    desk.settings.unlink()


def settings_not_toml(desk: Desk) -> None:
    """The settings file has a syntax error."""
    desk.settings.write_text("[ivs\n")


def wrong_settings(desk: Desk) -> None:
    """Settings are missing or invalid."""
    desk.settings.write_text("[ivs]\nregions = []\n")


def published(desk: Desk) -> None:
    """The first key pair is in IVS and not active yet."""
    desk.done("keys", "reconcile")


def standby(desk: Desk) -> None:
    """There is an active key pair and a standby that may become active."""
    for _ in range(2):
        desk.done("keys", "reconcile")
        desk.clock.advance(60)


def draining(desk: Desk) -> None:
    """The old key drains, and there is a new standby."""
    standby(desk)
    desk.done("keys", "rotate")


def draining_without_standby(desk: Desk) -> None:
    """Two keys drain."""
    draining(desk)
    desk.clock.advance(60)
    desk.done("keys", "rotate", "--force")


def other_secret(desk: Desk) -> None:
    """The key-encryption secret is not the one of the private keys."""
    standby(desk)
    (desk.folder / "secret").write_bytes(bytes(range(100, 132)))


def recorded_request(desk: Desk) -> None:
    """A rotation has failed, and its request stays recorded."""
    other_secret(desk)
    desk.refused("keys", "rotate")


def next_secret(desk: Desk) -> None:
    """The key-encryption secret was replaced, and the previous one is not configured."""
    published(desk)
    (desk.folder / "next").write_bytes(bytes(range(1, 33)))
    change_settings(desk, '"secret"', '"next"')


def two_regions(desk: Desk) -> None:
    """The settings name two regions."""
    change_settings(desk, '["us-west-2"]', '["us-west-2", "eu-west-1"]')


def removed_region(desk: Desk) -> None:
    """The region of the key pairs was removed from the settings."""
    standby(desk)
    change_settings(desk, "us-west-2", "eu-west-1")


def other_account(desk: Desk) -> None:
    """The account in the settings has changed."""
    standby(desk)
    change_settings(desk, "123456789012", "210987654321")


def full_slots(desk: Desk) -> None:
    """Foreign key pairs occupy every slot in IVS."""
    for number in range(3):
        public_key = public_key_pem(private_key_pem(desk.folder, "secp384r1"))
        desk.ivs.client().import_playback_key_pair(
            publicKeyMaterial=public_key, name=f"foreign-{number}"
        )


def active_key_deleted(desk: Desk) -> None:
    """The active key pair was deleted in IVS."""
    standby(desk)
    active = desk.ring().require_active()
    desk.ivs.client().delete_playback_key_pair(arn=str(active.arn))


def damaged_ring(desk: Desk) -> None:
    """The ring's document is damaged."""
    desk.state.create()
    desk.state.save("ring:us-west-2", "damaged", replacing=NEW)


def damaged_state(desk: Desk) -> None:
    """The state file is damaged."""
    (desk.folder / "keys").mkdir()
    (desk.folder / "keys/state.sqlite3").write_bytes(b"garbage" * 1_000)


def private_key_file(desk: Desk) -> None:
    """There is a private key in key.pem, and its key pair is not in IVS."""
    private_key_pem(desk.folder, "secp384r1").rename(desk.folder / "key.pem")


def api_key(desk: Desk) -> None:
    """There is an API key named `website`."""
    desk.done("api-keys", "create", "website", "--grant", "web")


def backed_up(desk: Desk) -> None:
    """There is a backup in the file backup."""
    desk.state.create()
    desk.done("state", "backup", str(desk.folder / "backup"))


def backed_up_of_previous_release(desk: Desk) -> None:
    """There is a backup, and processes of the previous release may use the state."""
    backed_up(desk)
    desk.state.save("schema", schema_document(PREVIOUS), replacing=desk.state.version("schema"))


def left_log(desk: Desk) -> None:
    """There is a backup. The state file was moved away, and its log was not."""
    backed_up(desk)
    (desk.folder / "keys/state.sqlite3").rename(desk.folder / "moved")
    (desk.folder / "keys/state.sqlite3-wal").write_bytes(b"log")


def private_channel(desk: Desk, *, private: bool = True) -> None:
    """The channel `show` of the settings is private and not live; there is no key pair."""
    desk.state.create()
    arn = new_channel(desk, "show", private=private)
    desk.settings.write_text(f'{desk.settings.read_text()}[channels]\nshow = "{arn}"\n')


def private_channel_and_standby(desk: Desk) -> None:
    """The channel `show` is private, and there is an active key pair."""
    standby(desk)
    private_channel(desk)


def public_channel_and_standby(desk: Desk) -> None:
    """The channel `show` is public, and there is an active key pair."""
    standby(desk)
    private_channel(desk, private=False)


def missing_permission(desk: Desk) -> None:
    """The AWS credentials lack ivs:ListChannels."""
    deny(desk, "ListChannels")


def change_settings(desk: Desk, old: str, new: str) -> None:
    """Replace that text in the settings."""
    desk.settings.write_text(desk.settings.read_text().replace(old, new))


# --- The table


@dataclass(frozen=True)
class Case:
    """A command that fails.

    Attributes:
        prepare: the name of the function above that precedes the command.
        command: the command line, with `{name}` for the values of `names_of`.
        printed: its standard error, without click's usage and the audit records.
        status: its exit status.
    """

    prepare: str
    command: str
    printed: str
    status: int


def cases() -> list[Case]:
    """The cases of the table: blocks that a blank line separates."""
    block = re.compile(r"# (\w+)\n\$ tokensvc (.+)\n((?:.+\n)+?)exit status (\d)\n")
    text = TABLE.read_text().partition("\n\n")[2]
    found = block.findall(text)
    assert len(found) == len(text.split("\n\n"))
    return [Case(name, command, printed, int(status)) for name, command, printed, status in found]


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.prepare}: {case.command}")
def test_the_error_and_its_hint_are_printed(desk: Desk, case: Case) -> None:
    """Exactly the sentences of the table."""
    globals()[case.prepare](desk)
    arguments = case.command.format(**{name: value for value, name in names_of(desk).items()})

    result = desk.run(*arguments.split())

    assert result.exit_code == case.status, result.output
    assert normalized(result.stderr, desk) == case.printed


def names_of(desk: Desk) -> dict[str, str]:
    """The name in the table of each value that differs between runs."""
    names = {
        str(desk.folder): "folder",
        desk.ivs.url: "ivs",
        operator(): "operator",
        "\a": "bell",
    }
    try:
        pairs = desk.ring().pairs
    except (AssertionError, TokensvcError):  # There is no ring, or it is damaged.
        return names
    return names | {pair.key_id: f"k{number}" for number, pair in enumerate(pairs, 1)}


def normalized(printed: str, desk: Desk) -> str:
    """The standard error with the names of the table, as far as the table has it."""
    for value, name in names_of(desk).items():
        printed = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", f"{{{name}}}", printed)
    printed = re.sub(r"(playback-key|channel)/\w{12}", r"\1/{id}", printed)
    left_out = ("Usage: ", "Try '", '{"')
    lines = [line for line in printed.splitlines() if line and not line.startswith(left_out)]
    return "".join(f"{line}\n" for line in lines)
