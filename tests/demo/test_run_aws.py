"""`make run-aws`: two services over moto's server, on any free ports."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from joserfc import jws
from joserfc.jwk import ECKey

from tests.e2e.processes import running

PROGRAM = (sys.executable, "-m", "demo.launcher.run_aws")
ANY_FREE_PORTS = dict.fromkeys(("PORT", "SECOND_PORT", "LOCAL_IVS_PORT", "MOTO_PORT"), "0")


def printed_by(command: str) -> str:
    """What a shell prints for a line of the welcome text."""
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_two_services_sign_with_the_same_key_and_follow_a_rotation(tmp_path: Path) -> None:
    """With the lines as they are printed. Ctrl-C stops everything, and nothing is left."""
    environment = {**ANY_FREE_PORTS, "TMPDIR": str(tmp_path)}
    with running(tmp_path / "out.txt", environment=environment, program=PROGRAM) as demo:
        lines = demo.wait_for("Ctrl-C").splitlines()
        requests = [line for line in lines if line.startswith("curl ")]
        (rotate,) = (line.partition(": ")[2] for line in lines if "Rotate for both" in line)
        before = [json.loads(printed_by(line)) for line in requests]
        assert len(before) == 2
        assert len({issued["key_id"] for issued in before}) == 1
        printed_by(rotate)
        set_up = shlex.split(rotate)[1]
        rows = json.loads(printed_by(f". {set_up} && tokensvc keys list --json"))
        states = {row["key_id"]: row["state"] for row in rows}
        assert states[before[0]["key_id"]] == "retiring"
        shown = printed_by(f". {set_up} && tokensvc keys show {before[0]['key_id']} --json")
        public_key = ECKey.import_key(json.loads(shown)["public_key"])
        for issued in before:
            jws.deserialize_compact(issued["token"], public_key, algorithms=["ES384"])
        assert demo.interrupt() == 0
    assert list(tmp_path.glob("tokensvc-aws-*")) == []
