"""Create what the demo needs in Local IVS and in its folder, if it doesn't exist yet.

Each step continues from the results of an earlier start, complete or interrupted.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from demo.launcher.failure import DemoFailed
from demo.launcher.folder import (
    CHANNEL,
    GRANT,
    IN_AWS,
    OTHER_CHANNEL,
    REGION,
    DemoFolder,
    Users,
)
from tokensvc import operations
from tokensvc.access import api_keys, recorded_secrets
from tokensvc.access.api_keys import MINT_ONLY, ApiKeys, authenticate
from tokensvc.access.callers import Scope
from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import AwsClients
from tokensvc.aws_setup import make_state
from tokensvc.clock import Clock
from tokensvc.errors import Unauthenticated
from tokensvc.ivs.kept_answers import KIND
from tokensvc.ivs.translation import translate_errors
from tokensvc.settings import load_settings
from tokensvc.settings.viewer_id_secrets import viewer_ids_of
from tokensvc.state.base import NEW, State

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

_API_KEY_NAME = "demo"
_MODERATOR_KEY_NAME = "demo-moderator"
_OPERATOR_KEY_NAME = "demo-operator"
_OPERATOR = "demo"
_SECRET_BYTES = 32


def prepare(
    folder: DemoFolder,
    local_ivs_url: str,
    port: int,
    clients: AwsClients,
    clock: Clock,
    users: Users | None = None,
) -> str:
    """Create everything that the service needs, and return the text of an API key.

    Raises:
        TokensvcError: a step failed.
    """
    region = parse_region(REGION)
    client = clients.ivs(region)
    channel_arn = _ensure_private_channel(client, region, CHANNEL, local_ivs_url)
    other_channel_arn = _ensure_private_channel(client, region, OTHER_CHANNEL, local_ivs_url)
    _set_live(local_ivs_url, channel_arn, live=True)
    folder.write_settings(
        channel_arn=str(channel_arn),
        other_channel_arn=str(other_channel_arn),
        port=port,
        users=users,
    )
    for file in (folder.key_encryption_secret, folder.viewer_id_secret):
        if not file.exists():
            secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
            folder.write(file, f"{secret}\n")
    settings = load_settings(folder.settings, {})
    if folder.storage == IN_AWS:
        make_state(settings, clock, lambda _step: None)
    with closing(operations.build(settings, clock, by=_OPERATOR, clients=clients)) as opened:
        opened.state.create()
        # Local IVS may have another port than at the last start, and the answers have its address.
        opened.state.remove_many(KIND, [str(channel_arn), str(other_channel_arn)])
        opened.rotator(region).reconcile(lambda _step: None)
        if users is not None:
            recorded_secrets.record(opened.state, viewer_ids_of(settings.viewer_ids))
        keys = _DemoKeys(folder, opened.state, clock)
        keys.ensure(_MODERATOR_KEY_NAME, folder.moderator_key, ("moderate",))
        keys.ensure(_OPERATOR_KEY_NAME, folder.operator_key, ("operate",))
        return keys.ensure(_API_KEY_NAME, folder.api_key, MINT_ONLY)


def _ensure_private_channel(
    client: IVSClient, region: Region, name: str, local_ivs_url: str
) -> ChannelArn:
    with translate_errors("ListChannels", region):
        found = client.list_channels(filterByName=name)["channels"]
    if not found:
        with translate_errors("CreateChannel", region):
            created = client.create_channel(name=name, authorized=True)["channel"]
        return ChannelArn.parse(created["arn"])
    channel_arn = ChannelArn.parse(found[0]["arn"])
    if not found[0].get("authorized"):
        # Made public, for example with `channels unprotect`. IVS can't update a live channel.
        _set_live(local_ivs_url, channel_arn, live=False)
        with translate_errors("UpdateChannel", region):
            client.update_channel(arn=str(channel_arn), authorized=True)
    return channel_arn


def _set_live(local_ivs_url: str, channel_arn: ChannelArn, *, live: bool) -> None:
    connection = http.client.HTTPConnection(local_ivs_url.removeprefix("http://"), timeout=10)
    try:
        body = json.dumps({"channel_arn": str(channel_arn), "live": live})
        headers = {"Content-Type": "application/json"}
        connection.request("PUT", "/_local/streams", body, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        state = "live" if live else "offline"
        raise DemoFailed(
            f"Local IVS could not set channel {channel_arn} {state} (HTTP status {status}).",
            hint="Look for the reason in `local-ivs.log` in the demo's folder.",
        )


@dataclass(frozen=True, slots=True)
class _DemoKeys:
    """The API keys of the demo, in its state and in files of its folder."""

    folder: DemoFolder
    state: State
    clock: Clock

    def ensure(self, name: str, file: Path, scopes: tuple[Scope, ...]) -> str:
        """Return the API key in the file if it is still valid. Otherwise replace it."""
        document = self.state.load(api_keys.DOCUMENT_NAME)
        known = ApiKeys.decode(document)
        try:
            text = file.read_text().strip()
            authenticate(known, text, self.clock.now())
        except (FileNotFoundError, Unauthenticated):
            others = ApiKeys(tuple(key for key in known.keys if key.name != name))
            updated, text = api_keys.create(
                others, name=name, grants=(GRANT,), scopes=scopes, now=self.clock.now()
            )
            # Write the text first: if it were lost, the stored key could never be used.
            self.folder.write(file, f"{text}\n")
            version = NEW if document is None else document.version
            self.state.save(api_keys.DOCUMENT_NAME, updated.encode(), replacing=version)
        return text
