"""The systemd units: systemd itself finds no fault in them, and their numbers fit the service's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import ROOT
from tokensvc.web.front import ConnectionTerms

UNITS = ROOT / "deploy/systemd"
SERVICES = ("tokensvc.service", "tokensvc-reconcile.service", "tokensvc-end-due.service")
# Files that the units refer to, which a machine has.
PROGRAMS = ("opt/tokensvc/bin/tokensvc", "bin/kill")
TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sysinit", "time-sync", "timers")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root folder of a machine on which the units are installed."""
    for name in PROGRAMS:
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    units = tmp_path / "etc/systemd/system"
    shutil.copytree(UNITS, units)
    for name in TARGETS:
        (units / f"{name}.target").write_text("[Unit]\n")
    return tmp_path


def analyze(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `systemd-analyze` on that machine's units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        message = "systemd-analyze was not found: install the Debian package systemd."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return subprocess.run(
        [program, *arguments, f"--root={machine}"],
        capture_output=True,
        text=True,
        check=False,
    )


def values(name: str, key: str) -> list[str]:
    """The values of that key in that unit."""
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE)


def test_systemd_finds_no_fault(machine: Path) -> None:
    """No unknown section, key or value, and no missing program."""
    names = sorted(path.name for path in UNITS.iterdir())
    done = analyze(machine, "verify", "--man=no", *names)
    # What systemd ignores is a line on standard error only.
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_reports_a_fault(machine: Path) -> None:
    """The test before this one can fail."""
    unit = machine / "etc/systemd/system/tokensvc.service"
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))

    assert "ProtectHomes" in analyze(machine, "verify", "--man=no", unit.name).stderr


@pytest.mark.parametrize("name", SERVICES)
def test_the_sandbox_leaves_little_exposed(machine: Path, name: str) -> None:
    """The exposure level is under 1.5 of 10: a service uses the network and writes one folder."""
    done = analyze(machine, "security", "--offline=yes", "--threshold=15", name)
    assert done.returncode == 0, done.stdout[-200:]


def test_all_services_run_in_the_same_sandbox() -> None:
    """From StateDirectory on, the units are equal."""
    sandboxes = [
        (UNITS / name).read_text().partition("StateDirectory=")[2].partition("\n[Install]")[0]
        for name in SERVICES
    ]
    assert len(sandboxes[0].splitlines()) > 20
    assert len({sandbox.strip() for sandbox in sandboxes}) == 1


def test_the_service_has_the_time_to_answer_its_requests() -> None:
    """It is killed after 90 s: a drain of 15 s, the slowest request and 5 s to end."""
    longest = 15 + ConnectionTerms().longest_request_seconds + 5

    assert values("tokensvc.service", "TimeoutStopSec") == ["90"]
    assert longest <= 90


@pytest.mark.parametrize("name", SERVICES)
def test_journald_drops_no_audit_line(name: str) -> None:
    """Its default is to drop lines above 10,000 in 30 s."""
    assert values(name, "LogRateLimitIntervalSec") == ["0"]
