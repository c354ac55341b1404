"""The playback key pairs that one region of IVS holds (IVS: private-channels-create-key).

IVS stores public keys only, at most three in a region. There is no update operation: a key pair is
imported and deleted. IVS allows 3 calls a second for each operation (IVS: service-quotas).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.aws import AwsClients
from tokensvc.aws_dates import DatedAnswer
from tokensvc.errors import NotFound
from tokensvc.ivs.limits import KEY_PAIRS_PER_PAGE
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.ivs.translation import translate_errors
from tokensvc.token.p384 import PublicKey

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import PlaybackKeyPairTypeDef


class IvsKeyPairs:
    """The playback key pairs of one region, in the account of the AWS credentials.

    Every call raises `IvsUnavailable` when IVS throttles, fails or can't be reached, and
    `IvsRefused` when IVS denies the action; both have a hint.
    """

    def __init__(self, clients: AwsClients, region: Region) -> None:
        self._clients = clients
        self._region = region

    @property
    def endpoint(self) -> str:
        """The URL of IVS in this region, also while there are no credentials."""
        return self._clients.endpoint(self._region)

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """Import the public key and return the key pair that IVS created from it.

        If the answer of an import is lost, the retry is refused with a conflict: `held()` then
        includes the key pair.

        Args:
            public_key: the public key.
            name: 0 to 128 characters of `[a-zA-Z0-9-_]`; need not be unique.
            tags: at most 50.

        Raises:
            QuotaExceeded: when the region has three key pairs already.
            Conflict: when IVS holds this public key already.
            PendingVerification: when AWS has not verified the account.
        """
        client = self._clients.ivs(self._region)
        with translate_errors("ImportPlaybackKeyPair", self._region):
            answer = client.import_playback_key_pair(
                publicKeyMaterial=public_key.pem, name=name, tags=dict(tags)
            )
            return _held(answer["keyPair"])

    def held(self) -> tuple[HeldKeyPair, ...]:
        """Return every key pair that IVS holds, in IVS's order.

        A key pair that is deleted during the call is left out.
        """
        held = []
        # ListPlaybackKeyPairs returns no fingerprints, so each key pair is fetched separately.
        for arn in self._listed():
            try:
                held.append(self.get(arn))
            except NotFound:
                continue
        return tuple(held)

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """Return the key pair with that ARN.

        Raises:
            NotFound: when IVS holds no such key pair.
        """
        client = self._clients.ivs(self._region)
        with translate_errors("GetPlaybackKeyPair", self._region):
            return _held(client.get_playback_key_pair(arn=str(arn))["keyPair"])

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Delete the key pair; succeeds also when IVS does not hold it."""
        client = self._clients.ivs(self._region)
        with contextlib.suppress(NotFound), translate_errors("DeletePlaybackKeyPair", self._region):
            client.delete_playback_key_pair(arn=str(arn))

    def dated_answer(self) -> DatedAnswer | None:
        """Return the newest answer of AWS, which dates it; None before the first."""
        return self._clients.dates.latest

    def _listed(self) -> tuple[PlaybackKeyArn, ...]:
        client = self._clients.ivs(self._region)
        with translate_errors("ListPlaybackKeyPairs", self._region):
            pages = client.get_paginator("list_playback_key_pairs").paginate(
                PaginationConfig={"PageSize": KEY_PAIRS_PER_PAGE}
            )
            return tuple(
                PlaybackKeyArn.parse(pair["arn"]) for page in pages for pair in page["keyPairs"]
            )


def _held(pair: PlaybackKeyPairTypeDef) -> HeldKeyPair:
    return HeldKeyPair(
        arn=PlaybackKeyArn.parse(pair["arn"]),
        name=pair.get("name", ""),
        fingerprint=pair["fingerprint"],
        tags=pair.get("tags", {}),
    )
