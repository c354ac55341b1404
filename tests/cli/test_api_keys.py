"""`tokensvc api-keys`: create, list and revoke."""

from __future__ import annotations

import re

import click
import pytest

from tests.cli.conftest import Desk
from tokensvc.access.api_key_uses import KIND, ApiKeyUses
from tokensvc.access.api_keys import DOCUMENT_NAME, ApiKeys, authenticate
from tokensvc.errors import InvalidRequest, NotFound, StateDamaged, Unauthenticated
from tokensvc.state.record_writer import RecordWriter


def stored_keys(desk: Desk) -> ApiKeys:
    """The stored API keys."""
    return ApiKeys.decode(desk.state.load(DOCUMENT_NAME))


def test_a_new_key_is_printed_and_authenticates(desk: Desk) -> None:
    """It is alone on standard output, with a warning on standard error; only a hash is stored."""
    result = desk.run("api-keys", "create", "website", "--grant", "web")
    text = result.stdout.strip()
    assert result.exit_code == 0
    assert "within 5 s" in result.stderr  # Until then a worker may refuse it.
    assert text not in result.stderr
    caller = authenticate(stored_keys(desk), text, desk.clock.now())
    assert (caller.name, caller.grants) == ("website", ("web",))
    document = desk.state.load(DOCUMENT_NAME)
    assert document is not None
    assert text.split("_")[2] not in document.body


def test_list_shows_keys_without_secrets(desk: Desk) -> None:
    """In JSON and as a table."""
    text = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    key_id = text.split("_")[1]
    assert desk.json("api-keys", "list") == [
        {
            "key_id": key_id,
            "name": "website",
            "grants": ["web"],
            "scopes": ["mint"],
            "created_at": "2027-01-15T08:00:00Z",
            "expires_at": None,
            "previous_valid_until": None,
            "last_used_on": None,
            "needs_confirmation": False,
        }
    ]
    assert desk.done("api-keys", "list").splitlines()[1].split() == [
        key_id,
        "website",
        "mint",
        "web",
        "2027-01-15T08:00:00Z",
        "-",
        "enabled",
    ]


def test_a_key_has_the_scopes_that_it_was_created_with(desk: Desk) -> None:
    """In the order of the documentation. An operator's key needs no grant."""
    scopes = ("--scope", "operate", "--scope", "moderate", "--scope", "operate")
    desk.done("api-keys", "create", "desk", "--grant", "web", *scopes)
    desk.done("api-keys", "create", "operator", "--scope", "operate")
    assert [key["scopes"] for key in desk.json("api-keys", "list")] == [
        ["moderate", "operate"],
        ["operate"],
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
        authenticate(stored_keys(desk), leaked, desk.clock.now())
    assert authenticate(stored_keys(desk), other, desk.clock.now()).name == "app"
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


def test_an_api_key_expires(desk: Desk) -> None:
    """After the time that its creation names."""
    desk.done("api-keys", "create", "website", "--grant", "web", "--expires-after", "90d")
    (key,) = desk.json("api-keys", "list")
    assert key["expires_at"] == "2027-04-15T08:00:00Z"
    assert "enabled until 2027-04-15T08:00:00Z" in desk.done("api-keys", "list")
    desk.clock.advance(90 * 86_400)
    assert desk.done("api-keys", "list").splitlines()[1].split()[-1] == "expired"


def test_a_rotated_key_has_two_secrets_for_a_day(desk: Desk) -> None:
    """The new one is alone on standard output. The list says until when the other is valid."""
    old = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    result = desk.run("api-keys", "rotate", "website")
    new = result.stdout.strip()
    assert new not in result.stderr
    assert "2027-01-16T08:00:00Z" in result.stderr
    now = desk.clock.now()
    keys = stored_keys(desk)
    assert authenticate(keys, old, now) == authenticate(keys, new, now)
    (key,) = desk.json("api-keys", "list")
    assert key["previous_valid_until"] == "2027-01-16T08:00:00Z"
    with pytest.raises(Unauthenticated):
        authenticate(keys, old, now + 86_400)


def test_a_secret_that_leaked_ends_at_once(desk: Desk) -> None:
    """Only after a confirmation, as a third secret does."""
    leaked = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    desk.refused("api-keys", "rotate", "website", "--overlap", "0", status=2)
    assert authenticate(stored_keys(desk), leaked, desk.clock.now()).name == "website"
    desk.done("api-keys", "rotate", "website", "--overlap", "0", "--yes")
    with pytest.raises(Unauthenticated):
        authenticate(stored_keys(desk), leaked, desk.clock.now())
    desk.done("api-keys", "rotate", "website", "--overlap", "12h")
    desk.refused("api-keys", "rotate", "website", "--overlap", "12h", status=2)


def test_the_list_shows_the_day_of_the_last_use(desk: Desk) -> None:
    """As a worker records it."""
    desk.done("api-keys", "create", "website", "--grant", "web")
    (key,) = stored_keys(desk).keys
    writer = RecordWriter(desk.state, KIND)
    uses = ApiKeyUses(writer)
    uses.note(key.key_id, desk.clock.now())
    # It is 8 in the morning.
    uses.note(key.key_id, desk.clock.now() + 57_599)
    uses.note("unknown", desk.clock.now())
    assert writer.flush()
    assert desk.json("api-keys", "list")[0]["last_used_on"] == "2027-01-15"
    uses.note(key.key_id, desk.clock.now() + 57_600)
    assert writer.flush()
    assert desk.json("api-keys", "list")[0]["last_used_on"] == "2027-01-16"
