"""`tokensvc keys revoke`: what it says, what it does, and what it leaves to be done again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.cli.conftest import Desk
from tests.keyring.rings import pair, ring
from tests.localivs.edge.stage import Channel, Player
from tokensvc.cli.emergency import consequences
from tokensvc.keyring.model import KeyState, Ring
from tokensvc.settings.model import RotationSettings

PENDING, PUBLISHED, ACTIVE, RETIRING, RETIRED = KeyState


def states(desk: Desk) -> list[str]:
    """The states of the ring's pairs, oldest first."""
    return [one.state.value for one in desk.ring().pairs]


def in_ivs(desk: Desk) -> set[str]:
    """The ARNs that IVS holds."""
    pairs = desk.ivs.client().list_playback_key_pairs(maxResults=10)["keyPairs"]
    return {one["arn"] for one in pairs}


def keys_of(desk: Desk) -> list[str]:
    """The IDs of the ring's pairs, oldest first."""
    return [one.key_id for one in desk.ring().pairs]


# --- What is said


A_IS_REFUSED = (
    "a is active. IVS refuses the tokens that it signed at each new start of playback, as"
    " soon as IVS has deleted it: at most those of the last 3600 s were still good."
)
STREAMS_GO_ON = (
    "A stream that plays goes on, a thief's too: IVS looks at a token when playback starts"
    " (believed). A viewer who starts again needs a new playback URL."
)
FRESH_PAIR = (
    "There is no standby that is not stolen: a fresh key pair is made, imported and signs"
    " at once, without the 60 s in which IVS's edge gets to know it, so that its first"
    " tokens may be refused for moments. If IVS has no slot left for it, the stolen key goes"
    " first, and nothing is signed (no_signing_key) until the fresh one is in: for seconds, or"
    " until IVS answers again."
)
WORKERS_FOLLOW = (
    "Workers follow within 5 s; one that can't read the state signs no more after 120 s."
    " What they sign with the stolen key until then is refused."
)
SAID: dict[str, tuple[Ring, tuple[str, ...], list[str]]] = {
    "the active key, with a standby": (
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)),
        ("a",),
        [
            A_IS_REFUSED,
            STREAMS_GO_ON,
            "b, the standby, signs at once.",
            WORKERS_FOLLOW,
        ],
    ),
    "everything": (
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)),
        ("a", "b"),
        [
            A_IS_REFUSED,
            "b is published: it has signed no token.",
            STREAMS_GO_ON,
            FRESH_PAIR,
            WORKERS_FOLLOW,
        ],
    ),
    "the standby alone": (
        ring(pair("a", ACTIVE), pair("b", PUBLISHED)),
        ("b",),
        ["b is published: it has signed no token."],
    ),
    "a retired key": (
        ring(pair("z", RETIRED), pair("a", ACTIVE)),
        ("z",),
        ["z is retired already: IVS does not hold it."],
    ),
}


@pytest.mark.parametrize(("of_ring", "key_ids", "said"), SAID.values(), ids=SAID.keys())
def test_what_stops_and_what_goes_on_is_said_with_numbers(
    of_ring: Ring, key_ids: tuple[str, ...], said: list[str]
) -> None:
    """Before anything is done."""
    assert list(consequences(of_ring, key_ids, RotationSettings())) == said


# --- What is done


def test_a_revoked_key_is_gone_and_the_standby_signs(rotating_desk: Desk) -> None:
    """From IVS and custody; the next standby is made at once."""
    stolen, standby = rotating_desk.ring().pairs

    rotating_desk.done("keys", "revoke", stolen.key_id, "--yes", "--reason", "laptop lost")

    assert states(rotating_desk) == ["retired", "active", "published"]
    assert rotating_desk.ring().active is not None
    assert str(stolen.arn) not in in_ivs(rotating_desk)
    assert str(standby.arn) in in_ivs(rotating_desk)
    assert not (rotating_desk.folder / "keys" / f"{stolen.key_id}.pem").exists()


def test_revoking_all_ends_with_fresh_keys(rotating_desk: Desk) -> None:
    """Nothing of what was in custody is left, in IVS or here."""
    before = in_ivs(rotating_desk)

    rotating_desk.done("keys", "revoke", "--all", "--yes")

    assert states(rotating_desk) == ["retired", "retired", "active", "published"]
    assert in_ivs(rotating_desk).isdisjoint(before)


def test_nothing_is_revoked_without_a_yes(rotating_desk: Desk) -> None:
    """Where there is no terminal to ask on, what would follow is said, and the key signs on."""
    stolen = keys_of(rotating_desk)[0]

    said = rotating_desk.refused("keys", "revoke", stolen, status=2)

    assert f"{stolen} is active. IVS refuses" in said
    assert "agree with --yes" in said
    assert states(rotating_desk) == ["active", "published"]


def test_an_unknown_key_revokes_nothing(rotating_desk: Desk) -> None:
    """Not even the known one beside it."""
    known = keys_of(rotating_desk)[0]

    said = rotating_desk.refused("keys", "revoke", known, "typo", "--yes")

    assert "nothing was revoked" in said
    assert not any(one.is_compromised for one in rotating_desk.ring().pairs)


@pytest.mark.parametrize("arguments", [[], ["k1", "--all"]], ids=str)
def test_unclear_orders_are_wrong_use(rotating_desk: Desk, arguments: list[str]) -> None:
    """No emergency begins by guessing."""
    rotating_desk.refused("keys", "revoke", *arguments, "--yes", status=2)

    assert states(rotating_desk) == ["active", "published"]


def test_a_region_without_keys_has_nothing_to_revoke(desk: Desk) -> None:
    """Said, and no failure."""
    assert "no key pair to revoke" in desk.run("keys", "revoke", "--all", "--yes").stderr


def test_what_ivs_does_not_confirm_is_recorded_and_done_later(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private half is destroyed at once; reconcile finishes when IVS answers again."""
    stolen = rotating_desk.ring().pairs[1]
    faults = rotating_desk.ivs.url + "/_local/faults"
    fault = {
        "operation": "DeletePlaybackKeyPair",
        "kind": "error",
        "error": "AccessDeniedException",
    }
    planned = urllib3.request("POST", faults, json=fault, retries=False)
    assert planned.status < 300, planned.data

    said = rotating_desk.refused("keys", "revoke", stolen.key_id, "--yes")

    assert "run `tokensvc keys reconcile` until it is done" in said
    assert not (rotating_desk.folder / "keys" / f"{stolen.key_id}.pem").exists()
    assert states(rotating_desk) == ["active", "retiring"]

    rotating_desk.done("keys", "reconcile")
    assert states(rotating_desk) == ["active", "retired", "published"]
    assert str(stolen.arn) not in in_ivs(rotating_desk)


def test_a_region_that_can_not_be_read_leaves_the_others_to_be_revoked(
    rotating_desk: Desk,
) -> None:
    """It is told, with status 1 where its keys were meant too."""
    text = rotating_desk.settings.read_text()
    rotating_desk.settings.write_text(text.replace('["us-west-2"]', '["eu-west-1", "us-west-2"]'))
    rotating_desk.state.save("ring:eu-west-1", "damaged", replacing=0)
    first = keys_of(rotating_desk)[0]

    assert "can't be read" in rotating_desk.refused("keys", "revoke", "typo", "--yes")
    rotating_desk.done("keys", "revoke", first, "--yes")
    said = rotating_desk.refused("keys", "revoke", "--all", "--yes")

    assert "eu-west-1: what is to be revoked there is not known." in said
    assert states(rotating_desk) == ["retired", "retired", "retired", "active", "published"]


# --- From an audit


@pytest.fixture(name="player")
def _player(rotating_desk: Desk) -> Iterator[Player]:
    with urllib3.PoolManager() as pool:
        yield Player(pool, rotating_desk.ivs.url)


def test_the_viewers_whom_the_audit_names_stop_and_what_can_not_be_named_is_said(
    rotating_desk: Desk, player: Player, tmp_path: Path
) -> None:
    """A stream by the stolen key's token stops; one without a viewer ID goes on."""
    ivs = rotating_desk.ivs.client()
    made = ivs.create_channel(authorized=True)["channel"]
    rotating_desk.ivs.go_live(made["arn"])
    channel = Channel(made["arn"], made["playbackUrl"])
    named = rotating_desk.run("tokens", "sign", channel.arn, "--viewer-id", "alice")
    nameless = rotating_desk.run("tokens", "sign", channel.arn)
    alice, nobody = (
        player.watch(channel, result.stdout.strip().partition("token=")[2])
        for result in (named, nameless)
    )
    audit = tmp_path / "audit.jsonl"
    audit.write_text("a line of a log\n" + named.stderr + nameless.stderr)
    stolen = keys_of(rotating_desk)[0]

    result = rotating_desk.run("keys", "revoke", stolen, "--from-audit", str(audit), "--yes")

    assert result.exit_code == 0, result.output
    assert alice.playlist().status == 403
    assert nobody.playlist().status == 200
    assert "1 revoked." in result.stderr
    assert "1 tokens had no viewer ID" in result.stderr
    assert "Tokens that a thief signed are in no audit log and can't be named" in result.stderr
    assert "1 lines of the file are no lines of an audit log" in result.stderr


def test_viewers_of_a_channel_that_is_gone_are_told_and_the_status_is_1(
    rotating_desk: Desk, tmp_path: Path
) -> None:
    """The key is revoked all the same."""
    ivs = rotating_desk.ivs.client()
    arn = ivs.create_channel(authorized=True)["channel"]["arn"]
    signed = rotating_desk.run("tokens", "sign", arn, "--viewer-id", "alice")
    ivs.delete_channel(arn=arn)
    audit = tmp_path / "audit.jsonl"
    audit.write_text(signed.stderr)

    said = rotating_desk.refused(
        "keys", "revoke", keys_of(rotating_desk)[0], "--from-audit", str(audit), "--yes"
    )

    assert f"not alice at {arn}: ResourceNotFoundException" in said
    assert states(rotating_desk) == ["retired", "active", "published"]


def test_an_audit_that_is_not_there_revokes_nothing(rotating_desk: Desk, tmp_path: Path) -> None:
    """Wrong use, before anything is declared stolen."""
    rotating_desk.refused(
        "keys",
        "revoke",
        keys_of(rotating_desk)[0],
        "--from-audit",
        str(tmp_path / "nowhere"),
        "--yes",
        status=2,
    )

    assert states(rotating_desk) == ["active", "published"]
