"""What gunicorn's master loads for all workers, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tokensvc import web

CONFIG = Path(web.__file__).with_name("gunicorn_conf.py")
SETTINGS = """
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[custody]
key_encryption_secret_file = "secret"
"""
# Runs the configuration like the master, then builds the application and a signer like a worker.
PROGRAM = """
import importlib, json, runpy, sys, threading
conf = runpy.run_path(sys.argv[1], run_name="__config__")
importlib.import_module(conf["worker_class"].rpartition(".")[0])
class Server:
    worker_age = 0
conf["on_starting"](Server)
before = set(sys.modules)
threads = threading.active_count()
application = conf["app"]()._application
application.start()
application.close()
from tokensvc.token.p384 import LocalSigner
LocalSigner.generate().sign(b"")
from botocore.credentials import EC
print(json.dumps({
    "before": sorted(before),
    "after": sorted(set(sys.modules) - before),
    "threads": threads,
    "aws_login": EC is not None,
}))
"""


def test_the_master_loads_what_workers_need_and_not_awscrt(tmp_path: Path) -> None:
    """Awscrt does not support a fork. Everything else that a worker would load itself is shared."""
    (tmp_path / "tokensvc.toml").write_text(SETTINGS)
    (tmp_path / "secret").write_bytes(bytes(range(32)))
    (tmp_path / "keys").mkdir(mode=0o700)
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(CONFIG)],
        cwd=Path(__file__).parents[2],
        env={"TOKENSVC_CONFIG": str(tmp_path / "tokensvc.toml"), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(result.stdout)
    before = {name.partition(".")[0] for name in loaded["before"]}
    assert {"flask", "boto3", "pydantic", "cryptography", "uvloop", "gunicorn"} <= before
    assert "awscrt" not in before
    assert loaded["threads"] == 1
    # certifi, which only packages of the tests need, finds its file with `importlib.resources`.
    after = {name.partition(".")[0] for name in loaded["after"]}
    assert after - {"importlib"} == {"awscrt", "_awscrt"}
    # botocore was imported without awscrt, and has it now.
    assert loaded["aws_login"]
