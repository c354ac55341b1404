"""`tokensvc keys doctor` on a real deployment, with evidence from HTTP, files and SQLite."""

from __future__ import annotations

import json
import os

import pytest

from tests.cli.conftest import Desk
from tests.token.p384.openssl import private_key_pem, public_key_pem

ROTATION = '[rotation]\ncanary_channels = ["{}"]\n'


@pytest.fixture(name="desk_now")
def _desk_now(desk: Desk) -> Desk:
    """A desk with nothing left to do."""
    channel = desk.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    desk.settings.write_text(desk.settings.read_text() + ROTATION.format(channel))
    desk.done("keys", "reconcile")
    desk.clock.advance(60)
    desk.done("keys", "reconcile")
    return desk


def codes(desk: Desk, status: int) -> list[tuple[str, str]]:
    """The severity and code of each finding; the exit status is asserted."""
    result = desk.run("keys", "doctor", "--json")
    assert result.exit_code == status, result.output
    return [(one["severity"], one["code"]) for one in json.loads(result.stdout)]


def test_a_healthy_deployment_has_no_findings(desk_now: Desk) -> None:
    """Nothing on standard output, the region on standard error, and exit status 0."""
    result = desk_now.run("keys", "doctor")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "us-west-2" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert desk_now.json("keys", "doctor") == []


def test_a_note_leaves_the_exit_status_at_0(desk_now: Desk) -> None:
    """A foreign key pair is a note."""
    key = public_key_pem(private_key_pem(desk_now.folder, "secp384r1"))
    desk_now.ivs.client().import_playback_key_pair(publicKeyMaterial=key, name="someone-else")

    assert codes(desk_now, 0) == [("note", "foreign")]


def test_a_serious_finding_is_printed_with_the_command_that_fixes_it(desk_now: Desk) -> None:
    """An operator deleted the active key pair in IVS; the exit status is 1."""
    active = desk_now.ring().active
    assert active is not None
    desk_now.ivs.client().delete_playback_key_pair(arn=str(active.arn))

    result = desk_now.run("keys", "doctor")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    heading = lines.index(f"SERIOUS missing_in_ivs us-west-2 {active.key_id}")
    assert active.key_id in lines[heading + 1]
    assert f"tokensvc keys revoke {active.key_id}" in result.stdout


def test_a_clock_that_is_an_hour_off_is_detected_by_the_date_of_ivs(desk_now: Desk) -> None:
    """It is the only finding."""
    desk_now.ivs.set_clock_offset(-3_600)

    assert codes(desk_now, 1) == [("serious", "clock_off")]


def test_custody_is_examined(desk_now: Desk) -> None:
    """The active private key is damaged, and a private key that no ring records is in custody."""
    active = desk_now.ring().active
    assert active is not None
    keys = desk_now.folder / "keys"
    (keys / "stray.pem").write_bytes((keys / f"{active.key_id}.pem").read_bytes())
    (keys / f"{active.key_id}.pem").write_bytes(b"damaged")

    assert codes(desk_now, 1) == [("serious", "private_key_unusable"), ("warning", "orphan")]


def test_an_unavailable_ivs_does_not_stop_the_rest_of_the_examination(
    desk_now: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of IVS is a finding, and custody is examined anyway."""
    active = desk_now.ring().active
    assert active is not None
    (desk_now.folder / "keys" / f"{active.key_id}.pem").write_bytes(b"damaged")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert codes(desk_now, 1) == [
        ("serious", "ivs_unavailable"),
        ("serious", "private_key_unusable"),
    ]


def test_a_damaged_state_is_a_finding_and_reports_no_orphans(desk_now: Desk) -> None:
    """The unreadable ring may record any of the keys."""
    version = desk_now.state.version("ring:us-west-2")
    desk_now.state.save("ring:us-west-2", "damaged", replacing=version)

    assert codes(desk_now, 1) == [("serious", "state_damaged")]


def test_a_laptop_with_production_credentials_reports_the_other_deployment(
    desk_now: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its state is empty and IVS holds another deployment's key pairs; nothing is changed."""
    laptop = Desk(tmp_path_factory.mktemp("laptop"), desk_now.clock, desk_now.ivs)
    laptop.settings.write_text(desk_now.settings.read_text())
    (laptop.folder / "secret").write_bytes(bytes(range(100, 132)))
    laptop.state.create()

    result = laptop.run("keys", "doctor")

    assert result.exit_code == 1
    found = codes(laptop, 1)
    assert ("serious", "other_deployment") in found
    # The same fault is not reported a second time, as a decision.
    assert "decision_needed" not in {code for _, code in found}
    assert "tokensvc keys generate --region us-west-2" in result.stdout
    assert laptop.state.load("ring:us-west-2") is None
    assert codes(desk_now, 0) == []


def test_files_that_others_can_access_are_found(desk_now: Desk) -> None:
    """The folder and the state by their paths; a key that can't sign by its own finding alone."""
    keys = desk_now.folder / "keys"
    active, standby = (pair.key_id for pair in desk_now.ring().pairs)
    keys.chmod(0o777)
    (keys / "state.sqlite3").chmod(0o666)
    (keys / f"{standby}.pem").chmod(0o644)
    os.link(keys / f"{active}.pem", desk_now.folder / "copy.pem")

    found = desk_now.run("keys", "doctor", "--json")

    assert found.exit_code == 1
    assert {(one["severity"], one["code"], one["subject"]) for one in json.loads(found.stdout)} == {
        ("warning", "private_key_unusable", standby),
        ("warning", "file_access", str(keys)),
        ("warning", "file_access", str(keys / f"{active}.pem")),
        ("serious", "file_access", str(keys / "state.sqlite3")),
    }


def test_what_fs_group_does_to_the_files_is_a_warning_and_signs(desk_now: Desk) -> None:
    """Kubernetes gives the group of the pod access to every file of the volume on each mount."""
    channel = desk_now.ivs.client().create_channel(authorized=True)["channel"]["arn"]
    for path in (*(desk_now.folder / "keys").iterdir(), desk_now.folder / "secret"):
        os.chown(path, -1, os.getegid())
        path.chmod(0o660)

    findings = desk_now.json("keys", "doctor")

    assert {(one["severity"], one["code"]) for one in findings} == {("warning", "file_access")}
    active = desk_now.ring().active
    assert active is not None
    assert desk_now.json("tokens", "sign", channel)["key_id"] == active.key_id


def test_findings_are_json_for_programs(desk_now: Desk) -> None:
    """Each finding has exactly these members."""
    desk_now.ivs.set_clock_offset(3_600)
    (finding,) = json.loads(desk_now.run("keys", "doctor", "--json").stdout)

    assert set(finding) == {"severity", "code", "region", "subject", "reason", "hint"}
    assert finding["region"] == "us-west-2"


def test_a_wrong_key_encryption_secret_is_one_finding(rotating_desk: Desk) -> None:
    """It names every private key that the secret does not fit."""
    (rotating_desk.folder / "secret").write_text(bytes(range(32, 64)).hex())

    report = rotating_desk.run("keys", "doctor", "--json")
    (found,) = (one for one in json.loads(report.stdout) if one["severity"] != "note")

    active, standby = (pair.key_id for pair in rotating_desk.ring().pairs)
    assert report.exit_code == 1
    assert (found["code"], found["subject"]) == ("private_key_unusable", active)
    assert active in found["reason"]
    assert standby in found["reason"]
