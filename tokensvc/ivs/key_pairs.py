"""Playback key pairs as one region of IVS holds them (IVS: private-channels-create-key).

IVS keeps public halves only, three at most in a region, and has no update: a pair is imported and
deleted. Its rates are 3 calls a second for each operation (IVS: service-quotas).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tokensvc.arns import PlaybackKeyArn, Region
from tokensvc.aws import AwsClients, endpoint_of, translated
from tokensvc.errors import NotFound
from tokensvc.ivs.model import HeldKeyPair
from tokensvc.p384 import PublicKey

if TYPE_CHECKING:
    from mypy_boto3_ivs.type_defs import PlaybackKeyPairTypeDef

_PAGE_SIZE = 100  # key pairs, IVS's own most (botocore model, MaxPlaybackKeyPairResults)


class IvsKeyPairs:
    """The playback key pairs of one region and of the account of the AWS credentials.

    Every call raises `IvsUnavailable` when IVS throttles, fails or can't be asked, and `IvsRefused`
    when it denies the action; each names the way out.
    """

    def __init__(self, clients: AwsClients, region: Region) -> None:
        self._clients = clients
        self._region = region

    @property
    def endpoint(self) -> str:
        """The URL at which this region's IVS is asked."""
        return endpoint_of(self._clients.ivs(self._region))

    def import_pair(
        self, public_key: PublicKey, *, name: str, tags: Mapping[str, str]
    ) -> HeldKeyPair:
        """The pair that IVS made from the public half.

        An import whose answer was lost is refused as a conflict when it is tried again: `held()`
        then shows the pair.

        Args:
            public_key: the public half.
            name: 0 to 128 of `[a-zA-Z0-9-_]`, need not be unique.
            tags: up to 50.

        Raises:
            IvsRefused: with `aws_code` `ServiceQuotaExceededException` when all three places are
                taken, `ConflictException` when IVS holds this public half already,
                `PendingVerification` when AWS has not cleared the account.
        """
        client = self._clients.ivs(self._region)
        with translated("ImportPlaybackKeyPair", self._region):
            answer = client.import_playback_key_pair(
                publicKeyMaterial=public_key.pem, name=name, tags=dict(tags)
            )
            return _held(answer["keyPair"])

    def held(self) -> tuple[HeldKeyPair, ...]:
        """Every pair that IVS holds, in its order; one that vanishes meanwhile is left out."""
        held = []
        # The list gives no fingerprints, so each pair is asked for by itself.
        for arn in self._listed():
            try:
                held.append(self.get(arn))
            except NotFound:
                continue
        return tuple(held)

    def get(self, arn: PlaybackKeyArn) -> HeldKeyPair:
        """The pair with that ARN.

        Raises:
            NotFound: when IVS holds none.
        """
        client = self._clients.ivs(self._region)
        with translated("GetPlaybackKeyPair", self._region):
            return _held(client.get_playback_key_pair(arn=str(arn))["keyPair"])

    def delete(self, arn: PlaybackKeyArn) -> None:
        """Return when IVS holds no such pair, whether it held one before or not."""
        client = self._clients.ivs(self._region)
        with contextlib.suppress(NotFound), translated("DeletePlaybackKeyPair", self._region):
            client.delete_playback_key_pair(arn=str(arn))

    def _listed(self) -> tuple[PlaybackKeyArn, ...]:
        client = self._clients.ivs(self._region)
        with translated("ListPlaybackKeyPairs", self._region):
            pages = client.get_paginator("list_playback_key_pairs").paginate(
                PaginationConfig={"PageSize": _PAGE_SIZE}
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
