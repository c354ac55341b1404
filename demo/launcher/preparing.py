"""Create what the demo needs in Local IVS and in its folder, if it doesn't exist yet.

Each step continues from the results of an earlier start, complete or interrupted.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING

from demo.launcher.failure import DemoFailed
from demo.launcher.folder import CHANNEL, GRANT, IN_AWS, OTHER_CHANNEL, REGION, DemoFolder
from tokensvc import operations
from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys, authenticate
from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import AwsClients
from tokensvc.aws_setup import make_state
from tokensvc.clock import Clock
from tokensvc.errors import Unauthenticated
from tokensvc.ivs.kept_answers import KIND
from tokensvc.ivs.translation import translate_errors
from tokensvc.settings import load_settings
from tokensvc.state.base import NEW, State

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

_API_KEY_NAME = "demo"
_OPERATOR = "demo"
_SECRET_BYTES = 32


def prepare(
    folder: DemoFolder, local_ivs_url: str, port: int, clients: AwsClients, clock: Clock
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
        channel_arn=str(channel_arn), other_channel_arn=str(other_channel_arn), port=port
    )
    if not folder.key_encryption_secret.exists():
        secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        folder.write(folder.key_encryption_secret, f"{secret}\n")
    settings = load_settings(folder.settings, {})
    if folder.storage == IN_AWS:
        make_state(settings, clock, lambda _step: None)
    with closing(operations.build(settings, clock, by=_OPERATOR, clients=clients)) as opened:
        opened.state.create()
        # Local IVS may have another port than at the last start, and the answers have its address.
        opened.state.remove_many(KIND, [str(channel_arn), str(other_channel_arn)])
        opened.rotator(region).reconcile(lambda _step: None)
        return _ensure_api_key(folder, opened.state, clock)


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


def _ensure_api_key(folder: DemoFolder, state: State, clock: Clock) -> str:
    """Return the stored API key if it is still valid. Otherwise replace it with a new one."""
    document = state.load(api_keys.DOCUMENT_NAME)
    known = ApiKeys.decode(document)
    try:
        text = folder.api_key.read_text().strip()
        authenticate(known, text, clock.now())
    except (FileNotFoundError, Unauthenticated):
        others = ApiKeys(tuple(key for key in known.keys if key.name != _API_KEY_NAME))
        updated, text = api_keys.create(
            others, name=_API_KEY_NAME, grants=(GRANT,), now=clock.now()
        )
        # Write the text first: if it were lost, the stored key could never be used.
        folder.write(folder.api_key, f"{text}\n")
        version = NEW if document is None else document.version
        state.save(api_keys.DOCUMENT_NAME, updated.encode(), replacing=version)
    return text
