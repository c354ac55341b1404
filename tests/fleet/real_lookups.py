"""Real workers that look up channels in a Local IVS with the rates of IVS."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flask import Response, request
from local_ivs.testing import LocalIvsServer

from tests.support.aws import EndpointSession
from tokensvc.arns import ChannelArn
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.clock import SystemClock
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.cache_entry import DirectoryTerms
from tokensvc.ivs.directory import ChannelDirectory
from tokensvc.ivs.kept_answers import KIND
from tokensvc.ivs.shared_directory import shared_directory
from tokensvc.state.base import State
from tokensvc.state.record_writer import RecordWriter
from tokensvc.waiting import MustWait, no_waiting


@dataclass
class ThrottlingIvs:
    """Local IVS with channels.

    Attributes:
        url: its address.
        arns: its channels.
        calls: how many calls it got, by operation and HTTP status.
    """

    url: str
    arns: Sequence[ChannelArn]
    calls: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def throttled(self) -> int:
        """How many calls it throttled."""
        return sum(count for (_, status), count in self.calls.items() if status == 429)

    def note(self, response: Response) -> Response:
        """Count a call."""
        self.calls[request.path.removeprefix("/"), response.status_code] += 1
        return response


@dataclass(frozen=True)
class ChannelsMade:
    """The data of a Local IVS with these private channels."""

    folder: Path
    arns: Sequence[ChannelArn]


def make_channels(folder: Path, count: int) -> ChannelsMade:
    """Make that many channels, at any rate."""
    with LocalIvsServer(folder) as server:
        client = server.client()
        made = [client.create_channel(authorized=True)["channel"]["arn"] for _ in range(count)]
    return ChannelsMade(folder, [ChannelArn.parse(arn) for arn in made])


@contextmanager
def throttling_ivs(made: ChannelsMade) -> Iterator[ThrottlingIvs]:
    """A Local IVS with these channels, which enforces the rates of IVS."""
    with LocalIvsServer(made.folder, throttle=True) as server:
        ivs = ThrottlingIvs(server.url, made.arns)
        server.app.after_request(ivs.note)
        yield ivs


@contextmanager
def real_directory(
    state: State, url: str, terms: DirectoryTerms | None = None
) -> Iterator[ChannelDirectory]:
    """The directory of a worker: its own connections, threads and writer."""
    clock = SystemClock()
    writer = RecordWriter(state, KIND)
    with ExitStack() as resources:
        session = partial(EndpointSession, endpoint_url=url)
        clients = resources.enter_context(closing(AwsClients(AwsTerms(max_attempts=1), session)))
        resources.callback(writer.close)
        writer.start()
        yield resources.enter_context(
            closing(shared_directory(state, clients, clock, terms or DirectoryTerms(), writer))
        )


def seconds_until_known(
    directories: Sequence[ChannelDirectory], arns: Sequence[ChannelArn], at_most: float
) -> float:
    """Request every channel from every directory, again and again, until all are known."""
    began_at = time.monotonic()
    unknown = [(directory, arn) for directory in directories for arn in arns]
    while unknown := [each for each in unknown if not _is_known(*each)]:
        assert time.monotonic() - began_at < at_most, len(unknown)
        time.sleep(0.05)
    return time.monotonic() - began_at


def _is_known(directory: ChannelDirectory, arn: ChannelArn) -> bool:
    try:
        with no_waiting():
            directory.get(arn)
    except (MustWait, IvsUnavailable):
        return False
    return True
