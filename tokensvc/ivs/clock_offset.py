"""How far this machine's clock is from IVS's, by the Date header of IVS's own answers."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from tokensvc.arns import Region
from tokensvc.aws import AwsClients, translated
from tokensvc.clock import Clock

_DATE_RESOLUTION_SECONDS = 1.0  # RFC 9110 §5.6.7: a Date has whole seconds


def clock_offset_seconds(clients: AwsClients, region: Region, clock: Clock) -> float:
    """Seconds by which this clock is surely ahead of IVS's, negative when it is behind; 0 if none.

    The time that the answer took and the whole seconds of its Date leave a span of possible
    offsets: the one nearest to 0 is given.

    Raises:
        IvsUnavailable, IvsRefused: when IVS gives no answer to ListPlaybackKeyPairs.
    """
    client = clients.ivs(region)
    sent_at = clock.now()
    with translated("ListPlaybackKeyPairs", region):
        answer = client.list_playback_key_pairs(maxResults=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        ivs_at = parsedate_to_datetime(date).timestamp()
    return nearest_offset(sent_at, ivs_at, clock.now())


def nearest_offset(sent_at: float, ivs_at: float, received_at: float) -> float:
    """The least offset that explains an answer dated `ivs_at`; all three in Unix seconds."""
    least = sent_at - (ivs_at + _DATE_RESOLUTION_SECONDS)
    most = received_at - ivs_at
    if least > 0:
        return least
    return min(most, 0.0)
