"""The demo's folder: its settings, secrets, state and logs. Only this user can read it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.launcher.failure import DemoFailed
from demo.viewers import CLIENT_ID
from tokensvc import durable

REGION = "us-west-2"
ACCOUNT_ID = "123456789012"
CHANNEL = "demo"
OTHER_CHANNEL = "other"
GRANT = "demo"

# These variables would make the demo use another account, other settings or a proxy.
_REMOVED_PREFIXES = ("AWS_", "TOKENSVC_", "LOCAL_IVS_", "GUNICORN_", "DEMO_", "FLASK_")
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_SETTINGS = """\
# Written by `make run` at each start. For your own AWS account, run `tokensvc init`.
[ivs]
account_id = "{account_id}"
regions = ["{region}"]

{storage}
[channels]
{channel} = "{channel_arn}"
{other_channel} = "{other_channel_arn}"

[grants.{grant}]
channels = ["{channel}", "{other_channel}"]

[rotation]
# In Local IVS an imported key pair works immediately.
publish_delay_seconds = 0
state_refresh_seconds = 1

[service]
port = {port}
ops_page = true
"""

_USERS = """
# Viewers who sign in, in the page of the demo. Its pages request their URLs themselves.
[issuers.demo]
issuer = "{issuer_url}"
audience = "{client_id}"
grants = ["viewers"]

[viewer_ids]
secret_file = "viewer-id-secret"

[grants.viewers]
channels = ["{channel}"]
viewer_id = "from-identity"

[cors]
allowed_origins = ["{page_origin}"]
"""


IN_FILES = """\
[state]
url = "sqlite:keys/state.sqlite3"
# A viewer whose ban is lifted waits for that long, and for the clock skew.
access_max_age_seconds = 10

[custody]
url = "file:keys"
key_encryption_secret_file = "key-encryption-secret"
"""
"""The settings of a state and a custody on this machine."""

IN_AWS = f"""\
[state]
url = "dynamodb:{REGION}/tokensvc"

[custody]
url = "secretsmanager:tokensvc/"
"""
"""The settings of a state and a custody that several machines share."""


@dataclass(frozen=True, slots=True)
class Users:
    """The identity provider at which viewers sign in, and the origin of the page that they use."""

    issuer_url: str
    page_origin: str


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """The files of the demo. Each file is written atomically.

    Attributes:
        path: the folder.
        storage: the settings of the state and the custody.
    """

    path: Path
    storage: str = IN_FILES

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.path / "tokensvc.toml"

    @property
    def key_encryption_secret(self) -> Path:
        """The file of the key-encryption secret."""
        return self.path / "key-encryption-secret"

    @property
    def api_key(self) -> Path:
        """The file with the API key of the example backend. The demo prints it at every start."""
        return self.path / "api-key"

    @property
    def moderator_key(self) -> Path:
        """The file with the API key with which the example backend kicks and bans viewers."""
        return self.path / "moderator-key"

    @property
    def operator_key(self) -> Path:
        """The file with the API key for the operator's page of the service."""
        return self.path / "operator-key"

    @property
    def viewer_id_secret(self) -> Path:
        """The file of the secret from which the IDs of viewers who sign in are made."""
        return self.path / "viewer-id-secret"

    @property
    def environment(self) -> Path:
        """The file to source in a shell, so that `tokensvc` and `aws` use the demo."""
        return self.path / "env"

    @property
    def local_ivs(self) -> Path:
        """The folder of Local IVS's data."""
        return self.path / "local-ivs"

    def log(self, name: str) -> Path:
        """The log file of the server with this name."""
        return self.path / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder if necessary, and lock it so that no other demo runs in it.

        Raises:
            DemoFailed: another demo is running in the folder, or it can't be created or written.
        """
        try:
            durable.make_private_folder(self.path)
            lock = (self.path / "lock").open("w")
        except OSError as exc:
            raise DemoFailed(
                f"Can't write to the demo's folder {self.path} ({exc.strerror}).",
                hint="Choose another folder with --folder.",
            ) from exc
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise DemoFailed(
                    f"Another demo is running in {self.path}.",
                    hint="Stop it with Ctrl-C in its terminal, or choose another --folder.",
                ) from exc
            yield

    def write(self, path: Path, text: str) -> None:
        """Write a private file (0600) atomically, even if the machine crashes."""
        with durable.replacement(path) as draft:
            draft.write_text(text, encoding="utf-8")

    def write_settings(
        self, *, channel_arn: str, other_channel_arn: str, port: int, users: Users | None
    ) -> None:
        """Write the settings file with these channels, and with viewers who sign in, if any do."""
        text = _SETTINGS.format(
            storage=self.storage,
            account_id=ACCOUNT_ID,
            region=REGION,
            channel=CHANNEL,
            channel_arn=channel_arn,
            other_channel=OTHER_CHANNEL,
            other_channel_arn=other_channel_arn,
            grant=GRANT,
            port=port,
        )
        if users is not None:
            text += _USERS.format(
                issuer_url=users.issuer_url,
                page_origin=users.page_origin,
                client_id=CLIENT_ID,
                channel=CHANNEL,
            )
        self.write(self.settings, text)

    def backend_variables(
        self, *, service_url: str, local_ivs_url: str, issuer_url: str
    ) -> Mapping[str, str]:
        """The environment variables that configure the example backend."""
        return {
            "DEMO_SERVICE_URL": service_url,
            "DEMO_API_KEY_FILE": str(self.api_key),
            "DEMO_CHANNEL": CHANNEL,
            "DEMO_OTHER_CHANNEL": OTHER_CHANNEL,
            "DEMO_EDGE_URL": local_ivs_url,
            "DEMO_MODERATOR_KEY_FILE": str(self.moderator_key),
            "DEMO_ISSUER_URL": issuer_url,
        }

    def variables(self, local_ivs_url: str) -> Mapping[str, str]:
        """The environment variables with which AWS SDKs and `tokensvc` use this demo only."""
        return {
            "AWS_ENDPOINT_URL_IVS": local_ivs_url,
            # Local IVS uses an access key ID of twelve digits as the account ID.
            "AWS_ACCESS_KEY_ID": ACCOUNT_ID,
            "AWS_SECRET_ACCESS_KEY": "not-checked-by-local-ivs",
            "AWS_REGION": REGION,
            # boto3 and the `aws` command read this variable, not AWS_REGION.
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "TOKENSVC_CONFIG": str(self.settings),
        }


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without variables that would change what the demo uses.

    These are the variables of AWS, tokensvc, Local IVS, gunicorn, Flask, the example backend and
    proxies.
    """
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_REMOVED_PREFIXES) and name.upper() not in _PROXY_VARIABLES
    }
