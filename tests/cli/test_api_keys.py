"""`tokensvc api-keys`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk
from tokensvc.access.api_keys import DOCUMENT_NAME, ApiKeys, authenticate
from tokensvc.errors import Unauthenticated


def known_keys(desk: Desk) -> ApiKeys:
    """The keys as they are stored."""
    return ApiKeys.decode(desk.state.load(DOCUMENT_NAME))


def test_a_new_key_is_printed_once_and_opens(desk: Desk) -> None:
    """Alone on standard output, with the warning beside it; only a hash is kept."""
    result = desk.run("api-keys", "create", "website", "--grant", "web")
    text = result.stdout.strip()
    assert result.exit_code == 0
    assert "can't be shown again" in result.stderr
    caller = authenticate(known_keys(desk), text)
    assert (caller.name, caller.grants) == ("website", ("web",))
    document = desk.state.load(DOCUMENT_NAME)
    assert document is not None
    assert text.rpartition("_")[2] not in document.body


def test_list_shows_keys_without_secrets(desk: Desk) -> None:
    """Also in JSON."""
    text = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    key_id = text.split("_")[1]
    assert desk.json("api-keys", "list") == [
        {
            "key_id": key_id,
            "name": "website",
            "grants": ["web"],
            "created_at": "2027-01-15T08:00:00Z",
        }
    ]
    assert desk.done("api-keys", "list").splitlines()[1].split() == [
        key_id,
        "website",
        "web",
        "2027-01-15T08:00:00Z",
    ]


def test_a_key_for_an_unknown_grant_is_not_made(desk: Desk) -> None:
    """It would open nothing; the known grants are named."""
    said = desk.refused("api-keys", "create", "website", "--grant", "wep", status=2)
    assert "no grant 'wep'. They have: web." in said
    assert known_keys(desk).keys == ()


def test_a_name_is_given_once(desk: Desk) -> None:
    """Two keys of one name could not be told apart."""
    desk.done("api-keys", "create", "website", "--grant", "web")
    said = desk.refused("api-keys", "create", "website", "--grant", "web")
    assert "There is an API key 'website' already." in said
    assert len(known_keys(desk).keys) == 1


def test_a_damaged_state_is_told_with_the_way_out(desk: Desk) -> None:
    """Nothing is written over it."""
    desk.done("api-keys", "create", "website", "--grant", "web")
    path = desk.folder / "keys/state.sqlite3"
    path.write_bytes(b"garbage" * 1_000)
    said = desk.refused("api-keys", "list")
    assert str(path) in said
    assert path.read_bytes() == b"garbage" * 1_000


def test_a_revoked_key_opens_nothing_and_the_others_go_on(desk: Desk) -> None:
    """By its name or its ID; what to expect of running workers is said."""
    leaked = desk.done("api-keys", "create", "website", "--grant", "web").strip()
    kept = desk.done("api-keys", "create", "app", "--grant", "web").strip()

    result = desk.run("api-keys", "revoke", "website", "--yes")

    assert result.exit_code == 0
    assert "Workers follow within 5 s" in result.stderr
    with pytest.raises(Unauthenticated):
        authenticate(known_keys(desk), leaked)
    assert authenticate(known_keys(desk), kept).name == "app"
    desk.done("api-keys", "revoke", kept.split("_")[1], "--yes")
    assert known_keys(desk).keys == ()


def test_a_key_is_not_revoked_unasked(desk: Desk) -> None:
    """Without a terminal and without --yes it is wrong use, and nothing happened."""
    desk.done("api-keys", "create", "website", "--grant", "web")

    desk.refused("api-keys", "revoke", "website", status=2)

    assert len(known_keys(desk).keys) == 1


def test_revoking_an_unknown_key_says_where_to_look(desk: Desk) -> None:
    """A typo must not look like a success."""
    assert "api-keys list" in desk.refused("api-keys", "revoke", "websight", "--yes")
