"""What several tests of `tokensvc keys` do with a deployment."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Desk
from tests.token.p384.openssl import public_key_pem

TWO_REGIONS = 'regions = ["us-west-2", "eu-west-1"]'
CHANGED = """
key_encryption_secret_file = "next-secret"
previous_key_encryption_secret_file = "secret"
"""


def with_two_regions(desk: Desk) -> Desk:
    """The desk, with two regions in its settings."""
    text = desk.settings.read_text().replace('regions = ["us-west-2"]', TWO_REGIONS)
    desk.settings.write_text(text)
    return desk


def states(desk: Desk, region: str = "us-west-2") -> list[str]:
    """The states of the ring's pairs, oldest first."""
    return [pair.state.value for pair in desk.ring(region).pairs]


def imported(desk: Desk, private_key: Path) -> str:
    """The ARN of the key pair in IVS after the import of its public key."""
    public_pem = public_key_pem(private_key)
    answer = desk.ivs.client().import_playback_key_pair(publicKeyMaterial=public_pem, name="old")
    return answer["keyPair"]["arn"]


def with_next_secret(desk: Desk) -> None:
    """Change the settings to both secrets, as during a change of the secret."""
    (desk.folder / "next-secret").write_bytes(bytes(range(1, 33)))
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace('key_encryption_secret_file = "secret"', CHANGED))


def without_previous_secret(desk: Desk) -> None:
    """Remove the previous secret from the settings, as at the end of the change."""
    text = desk.settings.read_text()
    desk.settings.write_text(text.replace('previous_key_encryption_secret_file = "secret"', ""))
