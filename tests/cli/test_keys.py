"""`tokensvc keys`, on real state, custody and Local IVS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.p384.openssl import private_key_pem, public_key_pem
from tokensvc.keyring.model import KeyState
from tokensvc.p384 import PublicKey

TWO_REGIONS = 'regions = ["us-west-2", "eu-west-1"]'


def with_two_regions(desk: Desk) -> Desk:
    """The desk, its settings naming two regions."""
    text = desk.settings.read_text().replace('regions = ["us-west-2"]', TWO_REGIONS)
    desk.settings.write_text(text)
    return desk


def states(desk: Desk, region: str = "us-west-2") -> list[str]:
    """The states of the ring's pairs, oldest first."""
    return [pair.state.value for pair in desk.ring(region).pairs]


def imported(desk: Desk, private_key: Path) -> str:
    """The ARN of the key pair that IVS made from its public half."""
    public_pem = public_key_pem(private_key)
    answer = desk.ivs.client().import_playback_key_pair(publicKeyMaterial=public_pem, name="old")
    return answer["keyPair"]["arn"]


def test_reconcile_brings_the_first_key_pair_as_far_as_the_clock_allows(desk: Desk) -> None:
    """It is made and imported, and says until when to wait; then it signs, with a standby."""
    said = desk.done("keys", "reconcile")
    assert "wait until 2027-01-15T08:01:00Z (60 s)" in said
    assert states(desk) == ["published"]
    first = desk.ring().pairs[0].key_id
    desk.clock.advance(60)
    assert f"us-west-2: run the checks and switch signing to {first}" in desk.done(
        "keys", "reconcile"
    )
    active = desk.ring().active
    assert active is not None
    assert active.key_id == first
    assert states(desk) == ["active", "published"]
    assert desk.done("keys", "reconcile") == "us-west-2: nothing is left to do.\n"


def test_generate_and_import_go_step_by_step(desk: Desk) -> None:
    """IVS learns of a pair when it is imported, and not before."""
    key_id = desk.done("keys", "generate", "--reason", "first").strip()
    assert states(desk) == ["pending"]
    assert desk.ivs.client().list_playback_key_pairs()["keyPairs"] == []
    arn = desk.done("keys", "import").strip()
    pair = desk.ring().pair(key_id)
    assert (pair.state, str(pair.arn)) == (KeyState.PUBLISHED, arn)
    held = desk.ivs.client().get_playback_key_pair(arn=arn)["keyPair"]
    assert pair.public_key is not None
    assert held["fingerprint"] == pair.public_key.fingerprint
    assert held["name"] == f"tokensvc-{key_id}"


def test_import_without_a_pending_pair_names_the_way_out(desk: Desk) -> None:
    """There is nothing to guess."""
    assert "`tokensvc keys generate` makes one" in desk.refused("keys", "import")


def test_a_key_pair_made_elsewhere_is_adopted_and_signs(desk: Desk) -> None:
    """Everyone's first day: the private half from a file, the pair that IVS has already."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = imported(desk, private_key)
    key_id = desk.done("keys", "adopt", "--private-key", str(private_key), "--arn", arn).strip()
    pair = desk.ring().pair(key_id)
    assert (str(pair.arn), pair.state, pair.adopted) == (arn, KeyState.PUBLISHED, True)
    desk.clock.advance(60)
    desk.done("keys", "reconcile")
    assert desk.ring().active == desk.ring().pair(key_id)
    assert private_key.exists()


def test_adopting_another_private_half_is_refused_and_changes_nothing(desk: Desk) -> None:
    """The fingerprint that IVS has tells them apart."""
    arn = imported(desk, private_key_pem(desk.folder, "secp384r1"))
    other = private_key_pem(desk.folder, "secp384r1")
    said = desk.refused("keys", "adopt", "--private-key", str(other), "--arn", arn)
    assert "has the fingerprint" in said
    assert "Give the private key that this pair was imported from." in said
    assert not list((desk.folder / "keys").glob("*.pem"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no key", "holds no PEM private key"),
        (None, "can't be read"),
    ],
)
def test_a_file_without_a_private_key_is_refused(
    desk: Desk, content: bytes | None, said: str
) -> None:
    """Nothing was asked of IVS."""
    path = desk.folder / "x.pem"
    if content is not None:
        path.write_bytes(content)
    arn = "arn:aws:ivs:us-west-2:123456789012:playback-key/abcdEFGHijkl"
    assert said in desk.refused("keys", "adopt", "--private-key", str(path), "--arn", arn)
    assert desk.ivs.answered == set()


def test_an_arn_of_something_else_is_wrong_use(desk: Desk) -> None:
    """A channel is no key pair."""
    arn = "arn:aws:ivs:us-west-2:123456789012:channel/abcdEFGHijkl"
    said = desk.refused("keys", "adopt", "--private-key", "x", "--arn", arn, status=2)
    assert "is not the ARN of an IVS playback-key" in said


def test_a_key_pair_of_a_region_that_is_not_configured_is_wrong_use(desk: Desk) -> None:
    """The ARN said the region, so the ARN is named."""
    private_key = private_key_pem(desk.folder, "secp384r1")
    arn = "arn:aws:ivs:eu-west-1:123456789012:playback-key/abcdEFGHijkl"
    said = desk.refused("keys", "adopt", "--private-key", str(private_key), "--arn", arn, status=2)
    assert "Invalid value for --arn: eu-west-1 is not among the configured regions" in said


@pytest.mark.parametrize("reason", ["two\nlines", "\x1b[2J", "\udcff"], ids=ascii)
def test_a_reason_is_one_printable_line(desk: Desk, reason: str) -> None:
    """It is shown in the history, and stored as UTF-8."""
    assert "printable" in desk.refused("keys", "generate", "--reason", reason, status=2)
    assert not (desk.folder / "keys").exists()


def test_rotate_switches_to_the_standby_and_tells_what_is_left(rotating_desk: Desk) -> None:
    """The old key stays in IVS until its last token has ended, and the history says who and why."""
    old, standby = rotating_desk.ring().pairs
    said = rotating_desk.done("keys", "rotate", "--reason", "quarterly")
    ring = rotating_desk.ring()
    assert ring.active == ring.pair(standby.key_id)
    assert ring.pair(old.key_id).state is KeyState.RETIRING
    # 120 s of view, 3,600 s of token, twice 10 s of skew; it is 08:02:00.
    assert said.splitlines()[-1] == (
        "us-west-2: wait until 2027-01-15T09:04:20Z (3740 s):"
        f" tokens signed by {old.key_id} may play until then."
    )
    switch = [line for line in ring.history if line.to_state is KeyState.ACTIVE][-1]
    assert switch.why == "quarterly"
    assert "@" in switch.by


def test_a_second_rotation_during_the_drain_is_refused_with_the_time_left(
    rotating_desk: Desk,
) -> None:
    """And goes on when forced, as long as there is a standby."""
    old = rotating_desk.ring().pairs[0].key_id
    rotating_desk.done("keys", "rotate")
    said = rotating_desk.refused("keys", "rotate")
    assert f"Tokens signed by {old} may play until" in said
    assert "3740 s from now" in said


def test_after_the_drain_the_old_key_leaves_ivs_and_custody(rotating_desk: Desk) -> None:
    """120 + 3,600 + 20 seconds after signing ended, and not one before."""
    old = rotating_desk.ring().pairs[0]
    rotating_desk.done("keys", "rotate")
    rotating_desk.clock.advance(3_739)
    rotating_desk.done("keys", "reconcile")
    assert rotating_desk.ring().pair(old.key_id).state is KeyState.RETIRING
    rotating_desk.clock.advance(1)
    steps = rotating_desk.done("keys", "reconcile").splitlines()
    assert ["delete", "from", "IVS", old.key_id] in [step.split()[1:] for step in steps]
    assert rotating_desk.ring().pair(old.key_id).state is KeyState.RETIRED
    in_ivs = [row for row in rotating_desk.json("keys", "list") if row["in_ivs"]]
    assert str(old.arn) not in {row["arn"] for row in in_ivs}
    assert not (rotating_desk.folder / f"keys/{old.key_id}.pem").exists()


def test_list_shows_our_pairs_and_strangers(rotating_desk: Desk) -> None:
    """In JSON for programs, in a table for people."""
    stranger = imported(rotating_desk, private_key_pem(rotating_desk.folder, "secp384r1"))
    active, standby = rotating_desk.ring().pairs
    rows = rotating_desk.json("keys", "list")
    assert [(row["key_id"], row["state"], row["in_ivs"]) for row in rows] == [
        (active.key_id, "active", True),
        (standby.key_id, "published", True),
        (None, "foreign", True),
    ]
    assert rows[2]["arn"] == stranger
    assert rows[0]["since"] == "2027-01-15T08:01:00Z"
    table = rotating_desk.done("keys", "list").splitlines()
    assert table[0].split() == [
        "REGION",
        "KEY",
        "STATE",
        "IN",
        "IVS",
        "SINCE",
        "FINGERPRINT",
        "ARN",
    ]
    assert table[1].split() == [
        "us-west-2",
        active.key_id,
        "active",
        "yes",
        "2027-01-15T08:01:00Z",
        rows[0]["fingerprint"],
        str(active.arn),
    ]


def test_list_tells_whose_a_pair_without_a_record_is(rotating_desk: Desk) -> None:
    """This deployment's, another deployment's, or nobody's: each takes another way out."""
    ivs = rotating_desk.ivs.client()
    (gone,) = [pair for pair in rotating_desk.ring().pairs if pair.state is KeyState.PUBLISHED]
    ivs.delete_playback_key_pair(arn=str(gone.arn))
    for deployment in (rotating_desk.ring().deployment, "another"):
        ivs.import_playback_key_pair(
            publicKeyMaterial=public_key_pem(private_key_pem(rotating_desk.folder, "secp384r1")),
            tags={"tokensvc:deployment": deployment},
        )

    rows = rotating_desk.json("keys", "list")

    assert sorted((row["state"], row["in_ivs"]) for row in rows) == [
        ("active", True),
        ("other_deployment", True),
        ("published", False),
        ("unrecorded", True),
    ]


def test_list_does_not_take_another_key_at_a_recorded_arn_for_ours(rotating_desk: Desk) -> None:
    """Ours means the same fingerprint (rule 5)."""
    stored = rotating_desk.state.load("ring:us-west-2")
    assert stored is not None
    active, standby = rotating_desk.ring().pairs
    swapped = stored.body.replace(str(active.arn), "x").replace(str(standby.arn), str(active.arn))
    body = swapped.replace('"arn":"x"', f'"arn":"{standby.arn}"')
    rotating_desk.state.save("ring:us-west-2", body, replacing=stored.version)
    rotating_desk.ivs.client().delete_playback_key_pair(arn=str(standby.arn))

    rows = rotating_desk.json("keys", "list")

    assert [(row["key_id"], row["in_ivs"]) for row in rows] == [
        (active.key_id, True),
        (standby.key_id, False),
    ]


def test_list_goes_on_where_one_ring_can_not_be_read(rotating_desk: Desk) -> None:
    """In an incident the other region is shown; the status says that it is a part."""
    desk = with_two_regions(rotating_desk)
    desk.state.save("ring:eu-west-1", "damaged", replacing=0)

    result = desk.run("keys", "list")

    assert result.exit_code == 1
    assert "can't be read" in result.stderr
    assert rotating_desk.ring().pairs[0].key_id in result.stdout


def test_list_shows_what_is_recorded_while_ivs_is_out_of_reach(
    rotating_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an incident a part of the truth is worth more than none; the status says it is a part."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = rotating_desk.run("keys", "list")
    assert result.exit_code == 1
    assert "http://127.0.0.1:9" in result.stderr
    assert rotating_desk.ring().pairs[0].key_id in result.stdout
    assert "?" in result.stdout


def test_show_tells_all_of_a_pair_but_its_private_half(rotating_desk: Desk) -> None:
    """Public half, thumbprint, times and history."""
    active = rotating_desk.ring().pairs[0]
    assert active.public_key is not None
    facts = rotating_desk.json("keys", "show", active.key_id)
    assert PublicKey.from_pem(facts["public_key"]) == active.public_key
    assert facts["thumbprint"] == active.public_key.thumbprint
    assert facts["created_at"] == "2027-01-15T08:00:00Z"
    assert facts["deleted_at"] is None
    assert [line["to_state"] for line in facts["history"]] == ["pending", "published", "active"]
    text = rotating_desk.done("keys", "show", active.key_id)
    assert active.public_key.pem in text
    assert "PRIVATE" not in text


def test_an_unknown_key_id_is_told(desk: Desk) -> None:
    """With the command that lists those that there are."""
    assert "`tokensvc keys list`" in desk.refused("keys", "show", "nope")


@pytest.mark.parametrize("command", ["generate", "import", "rotate"])
def test_a_region_has_to_be_named_where_there_is_a_choice(desk: Desk, command: str) -> None:
    """Nothing is guessed when something is changed."""
    said = with_two_regions(desk).refused("keys", command, status=2)
    assert "Say for which region: us-west-2, eu-west-1." in said


def test_a_region_that_is_not_configured_is_wrong_use(desk: Desk) -> None:
    """It names those that are."""
    said = desk.refused("keys", "reconcile", "--region", "eu-west-1", status=2)
    assert "eu-west-1 is not among the configured regions: us-west-2." in said


def test_reconcile_of_all_regions_goes_on_where_one_fails(desk: Desk) -> None:
    """Rings do not wait for each other; the status tells that one failed."""
    with_two_regions(desk).state.save("ring:us-west-2", "damaged", replacing=0)
    result = desk.run("keys", "reconcile")
    assert result.exit_code == 1
    assert "us-west-2:\nError: The ring's document can't be read." in result.stderr
    assert states(desk, "eu-west-1") == ["published"]


def test_a_ring_is_bound_to_its_account(rotating_desk: Desk) -> None:
    """Other credentials or settings by mistake touch nothing."""
    text = rotating_desk.settings.read_text().replace("123456789012", "210987654321")
    rotating_desk.settings.write_text(text)
    said = rotating_desk.refused("keys", "rotate")
    assert "belongs to account 123456789012" in said


def test_a_wrong_key_encryption_secret_is_told_and_nothing_switches(rotating_desk: Desk) -> None:
    """The old key goes on signing."""
    active = rotating_desk.ring().active
    (rotating_desk.folder / "secret").write_bytes(bytes(32))
    said = rotating_desk.refused("keys", "rotate")
    assert "secret" in said
    assert rotating_desk.ring().active == active


@pytest.mark.parametrize(
    ("command", "operations"),
    [
        ("generate", "Calls no operation of IVS"),
        ("import", "Calls ImportPlaybackKeyPair"),
        ("adopt", "Calls GetPlaybackKeyPair"),
        ("list", "Calls ListPlaybackKeyPairs and GetPlaybackKeyPair"),
        ("show", "Calls no operation of IVS"),
        ("rotate", "Calls ListPlaybackKeyPairs"),
        ("reconcile", "Calls ListPlaybackKeyPairs"),
    ],
)
def test_each_command_names_the_operations_that_it_calls(
    desk: Desk, command: str, operations: str
) -> None:
    """So that an operator knows which permissions it takes."""
    assert operations in " ".join(desk.done("keys", command, "--help").split())
