"""The offset of this machine's clock from IVS's clock, from the Date header of IVS's answers."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from tokensvc.arns import Region
from tokensvc.aws import AwsClients
from tokensvc.clock import Clock
from tokensvc.ivs.translation import translate_errors

_DATE_RESOLUTION_SECONDS = 1.0  # RFC 9110 §5.6.7: a Date has whole seconds


def clock_offset_seconds(clients: AwsClients, region: Region, clock: Clock) -> float:
    """Return how many seconds this clock is certainly ahead of IVS's clock.

    The value is negative when this clock is behind, and 0 when no offset is certain. The duration
    of the call and the whole seconds of the Date header allow a range of offsets: the returned
    offset is the one of that range that is nearest to 0.

    Raises:
        IvsUnavailable, IvsRefused: when ListPlaybackKeyPairs fails.
    """
    client = clients.ivs(region)
    sent_at = clock.now()
    with translate_errors("ListPlaybackKeyPairs", region):
        answer = client.list_playback_key_pairs(maxResults=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        ivs_at = parsedate_to_datetime(date).timestamp()
    return nearest_offset(sent_at, ivs_at, clock.now())


def nearest_offset(sent_at: float, ivs_at: float, received_at: float) -> float:
    """Return the smallest offset that explains an answer dated `ivs_at`; all in unix seconds."""
    least = sent_at - (ivs_at + _DATE_RESOLUTION_SECONDS)
    most = received_at - ivs_at
    if least > 0:
        return least
    return min(most, 0.0)
