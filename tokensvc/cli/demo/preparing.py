"""What the demo needs in Local IVS and in its folder, made where it is not there yet.

Each step finds what an earlier start has left, whole or interrupted, and goes on from it.
"""

from __future__ import annotations

import base64
import http.client
import json
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from tokensvc.access import api_keys
from tokensvc.access.api_keys import ApiKeys, authenticate
from tokensvc.arns import ChannelArn, Region, parse_region
from tokensvc.aws import AwsClients, translated
from tokensvc.bootstrap import build_rotator, build_state
from tokensvc.cli.demo.folder import CHANNEL, GRANT, OTHER_CHANNEL, REGION, DemoFolder
from tokensvc.cli.demo.processes import DemoFailed
from tokensvc.clock import Clock
from tokensvc.errors import Unauthenticated
from tokensvc.settings import Settings, load_settings
from tokensvc.state.base import NEW

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

_API_KEY_NAME = "demo"
_OPERATOR = "demo"
_SECRET_BYTES = 32


def prepare(
    folder: DemoFolder, local_ivs_url: str, port: int, clients: AwsClients, clock: Clock
) -> str:
    """The text of an API key, after everything else that the service needs is in place.

    Raises:
        TokensvcError: when something can't be made.
    """
    region = parse_region(REGION)
    client = clients.ivs(region)
    channel_arn = _private_channel(client, region, CHANNEL, local_ivs_url)
    other_channel_arn = _private_channel(client, region, OTHER_CHANNEL, local_ivs_url)
    _set_live(local_ivs_url, channel_arn, live=True)
    folder.write_settings(
        channel_arn=str(channel_arn), other_channel_arn=str(other_channel_arn), port=port
    )
    if not folder.key_encryption_secret.exists():
        secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        folder.write(folder.key_encryption_secret, f"{secret}\n")
    settings = load_settings(folder.settings, {})
    rotator = build_rotator(settings, region, clock, by=_OPERATOR, clients=clients)
    rotator.reconcile(lambda _step: None)
    return _api_key(folder, settings, clock)


def _private_channel(
    client: IVSClient, region: Region, name: str, local_ivs_url: str
) -> ChannelArn:
    with translated("ListChannels", region):
        found = client.list_channels(filterByName=name)["channels"]
    if not found:
        with translated("CreateChannel", region):
            made = client.create_channel(name=name, authorized=True)["channel"]
        return ChannelArn.parse(made["arn"])
    channel_arn = ChannelArn.parse(found[0]["arn"])
    if not found[0].get("authorized"):
        # Someone has tried `channels unprotect` on it. IVS changes no channel that is live.
        _set_live(local_ivs_url, channel_arn, live=False)
        with translated("UpdateChannel", region):
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
        wanted = "live" if live else "offline"
        raise DemoFailed(
            f"Local IVS did not take {channel_arn} {wanted} (HTTP {status}).",
            hint="Its log in the demo's folder says why.",
        )


def _api_key(folder: DemoFolder, settings: Settings, clock: Clock) -> str:
    """The kept text, if it still opens; else that of a new key in its place."""
    state = build_state(settings.state.url, clock)
    document = state.load(api_keys.DOCUMENT_NAME)
    known = ApiKeys.decode(document)
    try:
        text = folder.api_key.read_text().strip()
        authenticate(known, text)
    except (FileNotFoundError, Unauthenticated):
        others = ApiKeys(tuple(key for key in known.keys if key.name != _API_KEY_NAME))
        kept, text = api_keys.create(others, name=_API_KEY_NAME, grants=(GRANT,), now=clock.now())
        # The text first: a key whose text was lost would be of no use to anyone.
        folder.write(folder.api_key, f"{text}\n")
        version = NEW if document is None else document.version
        state.save(api_keys.DOCUMENT_NAME, kept.encode(), replacing=version)
    return text
