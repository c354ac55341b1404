from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edge.tokens import NOW, claims
from local_ivs.edge.segments import boxes
from local_ivs.edge.timed_id3 import event_message, id3_tag
from local_ivs.edge_reader import TimedMetadata
from local_ivs.testing import Account, Channel, KeyPair, Player, urls_in

if TYPE_CHECKING:
    from local_ivs.testing import ManualClock


def text_of(tag: bytes) -> str:
    """The text of an ID3v2.4 tag that is one TXXX frame in UTF-8 without a description."""
    assert tag[:6] == b"ID3\x04\x00\x00"
    assert size_of(tag[6:10]) == len(tag) - 10
    assert tag[10:14] == b"TXXX"
    assert size_of(tag[14:18]) == len(tag) - 20
    assert tag[18:22] == b"\0\0\x03\0"
    return tag[22:].decode()


def size_of(field: bytes) -> int:
    """A size in ID3v2.4: 28 bits, seven in each byte."""
    assert max(field) < 0x80
    return sum(byte * 128**power for byte, power in zip(field, (3, 2, 1, 0), strict=True))


def messages_in(segment: bytes) -> list[tuple[int, float, str]]:
    """For each `emsg` box before the fragment: its ID, its offset in seconds and its text."""
    found = []
    for box in boxes(segment):
        if box.kind != b"emsg":
            break
        content = segment[box.start : box.end]
        assert content[:20] == b"\0\0\0\0urn:twitch:id3\0\0"
        timescale, offset, duration, message_id = struct.unpack_from(">IIII", content, 20)
        assert duration == 0
        found.append((message_id, offset / timescale, text_of(content[36:])))
    return found


def test_an_event_message_has_exactly_these_bytes() -> None:
    """69 bytes: 'Hü' 1.5 s after the start of its segment."""
    assert event_message(TimedMetadata(2**32 + 7, 61.5, "Hü"), 60.0) == (
        b"\x00\x00\x00\x45emsg\x00\x00\x00\x00urn:twitch:id3\x00\x00"
        b"\x00\x00\x03\xe8\x00\x00\x05\xdc\x00\x00\x00\x00\x00\x00\x00\x07"
        b"ID3\x04\x00\x00\x00\x00\x00\x0fTXXX\x00\x00\x00\x05\x00\x00\x03\x00H\xc3\xbc"
    )


@given(st.text(max_size=1024))
def test_an_id3_tag_contains_any_text_that_ivs_accepts(text: str) -> None:
    """Up to 4 KB, more than the 1 KB of a PutMetadata call; sizes are in seven-bit bytes."""
    assert text_of(id3_tag(text)) == text


def test_metadata_is_in_the_segment_during_which_it_was_put(
    player: Player, account: Account, channel: Channel, pair: KeyPair, clock: ManualClock
) -> None:
    """Once, in every rendition, before the fragment. Not in another channel's segments."""
    other = account.create_channel()
    playback = player.watch(channel, pair.token(claims(channel.arn)))
    elsewhere = player.watch(other, pair.token(claims(other.arn)))
    number = NOW * 15 // 32
    start = number * 32 / 15
    for text, at in (("a", start), ("b €", start + 1.5), ("c", start + 2.5)):
        clock.set(at)
        account.ivs.put_metadata(channelArn=channel.arn, metadata=text)
    clock.advance(10)
    ids = set()
    for url in playback.variants:
        by_number = {
            int(each.rpartition("/")[2].removesuffix(".m4s")): player.get(each).data
            for each in urls_in(player.get(url))
        }
        messages = {found: messages_in(segment) for found, segment in by_number.items()}
        assert [text for _, _, text in messages.pop(number)] == ["a", "b €"]
        ((last_id, offset, text),) = messages.pop(number + 1)
        assert (round(offset, 2), text) == (0.37, "c")
        assert set(map(tuple, messages.values())) == {()}
        assert by_number[number].count(b"moof") == 1
        ids.add(last_id)
    assert len(ids) == 1
    segments = (player.get(url).data for url in urls_in(elsewhere.playlist()))
    assert {segment[4:8] for segment in segments} == {b"moof"}
