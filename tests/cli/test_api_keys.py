"""`tokensvc api-keys`: create, list and revoke."""

from __future__ import annotations

import re

import click
import pytest

from tests.cli.conftest import Desk
from tokensvc.access.api_keys import DOCUMENT_NAME, ApiKeys, authenticate
from tokensvc.errors import InvalidRequest, NotFound, StateDamaged, Unauthenticated


def stored_keys(desk: Desk) -> ApiKeys:
    """The stored API keys."""
    return ApiKeys.decode(desk.state.load(DOCUMENT_NAME))


def test_a_new_key_is_printed_and_authenticates(desk: Desk) -> None:
    """It is alone on standard output, with a warning on standard error; only a hash is stored."""
    result = desk.run("api-keys", "create", "website", "--grant", "web")
    text = result.stdout.strip()
    assert result.exit_code == 0
    assert result.stderr.strip()
    assert text not in result.stderr
    caller = authenticate(stored_keys(desk), text)
    assert (caller.name, caller.grants) == ("website", ("web",))
    document = desk.state.load(DOCUMENT_NAME)
    assert document is not None
    assert text.rpartition("_")[2] not in document.body


def test_list_shows_keys_without_secrets(desk: Desk) -> None:
    """In JSON and as a table."""
    text = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    key_id = text.split("_")[1]
    assert desk.json("api-keys", "list") == [
        {
            "key_id": key_id,
            "name": "website",
            "grants": ["web"],
            "created_at": "2027-01-15T08:00:00Z",
            "needs_confirmation": False,
        }
    ]
    assert desk.done("api-keys", "list").splitlines()[1].split() == [
        key_id,
        "website",
        "web",
        "2027-01-15T08:00:00Z",
        "enabled",
    ]


def test_a_key_for_an_unknown_grant_is_not_created(desk: Desk) -> None:
    """The error names the unknown grant and the configured ones."""
    desk.state.create()
    error = desk.usage_error("api-keys", "create", "website", "--grant", "wep")
    assert isinstance(error, click.BadParameter)
    assert error.param_hint == "--grant"
    assert re.findall(r"\bwe[bp]\b", error.message) == ["wep", "web"]
    assert stored_keys(desk).keys == ()


def test_a_name_that_is_taken_is_refused(desk: Desk) -> None:
    """Two keys of one name could not be distinguished."""
    desk.done("api-keys", "create", "website", "--grant", "web")
    error = desk.error("api-keys", "create", "website", "--grant", "web")
    assert isinstance(error, InvalidRequest)
    assert [problem.rule for problem in error.problems] == ["name_taken"]
    assert "'website'" in error.problems[0].message
    assert len(stored_keys(desk).keys) == 1


def test_a_damaged_state_is_reported_with_its_path(desk: Desk) -> None:
    """The file is not overwritten."""
    desk.done("api-keys", "create", "website", "--grant", "web")
    path = desk.folder / "keys/state.sqlite3"
    path.write_bytes(b"garbage" * 1_000)
    error = desk.error("api-keys", "list")
    assert isinstance(error, StateDamaged)
    assert str(path) in str(error)
    assert path.read_bytes() == b"garbage" * 1_000


def test_a_revoked_key_is_refused_and_the_others_stay_valid(desk: Desk) -> None:
    """By name or ID. The output has the time until workers apply it, and the longest time."""
    leaked = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    other = desk.done("api-keys", "create", "app", "--grant", "web").strip()

    result = desk.run("api-keys", "revoke", "website", "--yes")

    assert result.exit_code == 0
    assert re.findall(r"\b(\d+) s\b", result.stderr) == ["5", "120"]
    with pytest.raises(Unauthenticated):
        authenticate(stored_keys(desk), leaked)
    assert authenticate(stored_keys(desk), other).name == "app"
    desk.done("api-keys", "revoke", other.split("_")[1], "--yes")
    assert stored_keys(desk).keys == ()


def test_a_key_is_not_revoked_without_confirmation(desk: Desk) -> None:
    """Without a terminal and without --yes it is wrong use, and nothing is changed."""
    desk.done("api-keys", "create", "website", "--grant", "web")

    desk.refused("api-keys", "revoke", "website", status=2)

    assert len(stored_keys(desk).keys) == 1


def test_revoking_an_unknown_key_is_an_error(desk: Desk) -> None:
    """A typo must not look like a success; the hint names the command that lists the keys."""
    desk.state.create()
    error = desk.error("api-keys", "revoke", "websight", "--yes")
    assert isinstance(error, NotFound)
    assert "`tokensvc api-keys list`" in error.hint
