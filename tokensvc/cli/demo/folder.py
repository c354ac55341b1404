"""The demo's folder: its settings, secrets, state and logs, for this machine and user alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tokensvc import durable
from tokensvc.cli.demo.processes import DemoFailed

REGION = "us-west-2"
ACCOUNT_ID = "123456789012"
CHANNEL = "demo"
OTHER_CHANNEL = "other"
GRANT = "demo"

# What would lead the demo elsewhere: to another account, another configuration, a proxy.
_NOT_OURS = ("AWS_", "TOKENSVC_", "LOCAL_IVS_", "GUNICORN_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_SETTINGS = """\
# Written by `tokensvc demo` at each start. `tokensvc init` writes one for an account of your own.
[ivs]
account_id = "{account_id}"
regions = ["{region}"]

[state]
url = "sqlite:keys/state.sqlite3"

[custody]
url = "file:keys"
key_encryption_secret_file = "key-encryption-secret"

[channels]
{channel} = "{channel_arn}"
{other_channel} = "{other_channel_arn}"

[grants.{grant}]
channels = ["{channel}", "{other_channel}"]

[rotation]
# Local IVS knows a key pair at once.
publish_delay_seconds = 0
state_refresh_seconds = 1

[service]
port = {port}

[demo]
channel = "{channel}"
other_channel = "{other_channel}"
grant = "{grant}"
"""


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where everything of the demo is; each file is written whole or not at all."""

    path: Path

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.path / "tokensvc.toml"

    @property
    def key_encryption_secret(self) -> Path:
        """The key-encryption secret's file."""
        return self.path / "key-encryption-secret"

    @property
    def api_key(self) -> Path:
        """The file that keeps the API key's text, as the demo shows it at every start."""
        return self.path / "api-key"

    @property
    def environment(self) -> Path:
        """A file to source in a shell, for `tokensvc` and `aws` to work on the demo."""
        return self.path / "env"

    @property
    def local_ivs(self) -> Path:
        """The folder of Local IVS."""
        return self.path / "local-ivs"

    def log(self, name: str) -> Path:
        """The log of that server."""
        return self.path / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The folder, made if it is not there, and no other demo in it meanwhile.

        Raises:
            DemoFailed: when another demo runs in it, or it can't be written.
        """
        try:
            durable.make_private_folder(self.path)
            lock = (self.path / "lock").open("w")
        except OSError as exc:
            raise DemoFailed(
                f"The demo's folder {self.path} can't be written ({exc.strerror}).",
                hint="Name another with --folder.",
            ) from exc
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise DemoFailed(
                    f"Another demo is running in {self.path}.",
                    hint="End it with Ctrl-C in its terminal, or name another --folder.",
                ) from exc
            yield

    def write(self, path: Path, text: str) -> None:
        """Put a private file in place, whole, even if the machine stops meanwhile."""
        with durable.replacement(path) as draft:
            draft.write_text(text, encoding="utf-8")

    def write_settings(self, *, channel_arn: str, other_channel_arn: str, port: int) -> None:
        """Write the settings of a demo with those channels."""
        text = _SETTINGS.format(
            account_id=ACCOUNT_ID,
            region=REGION,
            channel=CHANNEL,
            channel_arn=channel_arn,
            other_channel=OTHER_CHANNEL,
            other_channel_arn=other_channel_arn,
            grant=GRANT,
            port=port,
        )
        self.write(self.settings, text)

    def variables(self, local_ivs_url: str) -> Mapping[str, str]:
        """What leads AWS's SDKs and `tokensvc` to the demo, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL_IVS": local_ivs_url,
            # Local IVS takes twelve digits for the account.
            "AWS_ACCESS_KEY_ID": ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": "local-ivs-checks-no-signature",
            "AWS_REGION": REGION,
            # boto3 and the `aws` command read this one alone.
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "TOKENSVC_CONFIG": str(self.settings),
        }


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would lead the demo to an account, settings or a proxy."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_NOT_OURS) and name.upper() not in _PROXIES
    }
