"""Make the video of Local IVS: a test card that loops without a visible cut, as HLS segments.

Run it after a change of the drawing, with a Python that has Local IVS installed:

    python -m pip install pillow
    python scripts/make_test_card.py

Pillow is not a dependency of Local IVS, because only this script uses it. The script also requires
ffmpeg with libx264.

It writes three renditions to `src/local_ivs/media`, each with an init segment and six
media segments of 32/15 s. Exactly 64 frames of H.264 at 30 fps and 100 frames of AAC at 48 kHz fit
into that length, so the loop lasts 12.8 s. Decoding an AAC frame needs the frame before it.
Therefore the script encodes the tone three times in a row and uses the second one, whose first
frame was encoded after the last frame of the loop.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import card_art as art

# The script checks its output with the edge's parser.
from local_ivs.edge.segments import HEADER_BYTES, Fragment, boxes

ROOT = Path(__file__).resolve().parents[1]
MEDIA = ROOT / "src" / "local_ivs" / "media"
SEGMENTS = 6
FRAMES_IN_SEGMENT = art.LOOP_FRAMES // SEGMENTS
SAMPLES_IN_SEGMENT = art.LOOP_SAMPLES // SEGMENTS
SAMPLES_IN_AAC_FRAME = 1024
AUDIO_BITS_PER_SECOND = 18_000
VIDEO_TIMESCALE = 15_360
SEGMENT_SECONDS = Fraction(FRAMES_IN_SEGMENT, art.FRAMES_PER_SECOND)
VIDEO_TICKS_IN_SEGMENT = int(SEGMENT_SECONDS * VIDEO_TIMESCALE)
TRACKS = (
    {"id": 1, "timescale": VIDEO_TIMESCALE, "segment_ticks": VIDEO_TICKS_IN_SEGMENT},
    {"id": 2, "timescale": art.SAMPLE_RATE, "segment_ticks": SAMPLES_IN_SEGMENT},
)


@dataclass(frozen=True)
class Rendition:
    """A rendition to make: its name, size in pixels, H.264 level and x264 CRF."""

    name: str
    width: int
    height: int
    level: str
    constant_rate_factor: int

    @property
    def label(self) -> str:
        """The rendition's name and format, as drawn on the test card."""
        return f"{self.name} {self.width} x {self.height}, {art.FRAMES_PER_SECOND} fps"


RENDITIONS = (
    Rendition("FULL_HD", 1920, 1080, "4.0", 35),
    Rendition("HD", 1280, 720, "3.1", 34),
    Rendition("SD", 852, 480, "3.0", 33),
)


def ffmpeg(*arguments: str | Path) -> list[str]:
    """Return an ffmpeg command that prints errors only."""
    program = shutil.which("ffmpeg")
    if program is None:
        sys.exit("ffmpeg was not found. Install it (Debian: `apt install ffmpeg`).")
    quiet = ("-hide_banner", "-loglevel", "error", "-y")
    return [program, *quiet, *map(str, arguments)]


def encode_video(folder: Path) -> None:
    """Draw each frame, and send it to one encoder per rendition."""
    encoders = [
        subprocess.Popen(  # noqa: S603 - Our own command line.
            ffmpeg(
                *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{art.WIDTH}x{art.HEIGHT}"),
                *("-r", str(art.FRAMES_PER_SECOND), "-i", "-"),
                *("-vf", f"scale={each.width}:{each.height}:flags=lanczos:out_color_matrix=bt709"),
                *("-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709"),
                *("-color_trc", "bt709", "-color_range", "tv", "-c:v", "libx264"),
                *("-profile:v", "high", "-preset", "veryslow", "-tune", "animation"),
                *("-level", each.level, "-refs", "3", "-crf", str(each.constant_rate_factor)),
                *("-bf", "0", "-g", str(FRAMES_IN_SEGMENT)),
                # Key frames at the starts of segments only, and no B-frames.
                *("-keyint_min", str(FRAMES_IN_SEGMENT), "-sc_threshold", "0"),
                *("-flags", "+cgop", "-threads", "1", "-fflags", "+bitexact"),
                *("-flags:v", "+bitexact", "-video_track_timescale", str(VIDEO_TIMESCALE)),
                folder / f"{each.name}.mp4",
            ),
            stdin=subprocess.PIPE,
        )
        for each in RENDITIONS
    ]
    for images in art.frames(tuple(each.label for each in RENDITIONS)):
        for encoder, image in zip(encoders, images, strict=True):
            encoder.stdin.write(image.tobytes())
    for encoder in encoders:
        encoder.stdin.close()
        if encoder.wait() != 0:
            sys.exit("ffmpeg could not encode the video.")


def encode_audio(folder: Path) -> Path:
    """Encode the tone three times in a row as AAC, and return an MP4 file of the second one."""
    command = ffmpeg(
        *("-f", "s16le", "-ar", str(art.SAMPLE_RATE), "-ac", "1", "-i", "-"),
        *("-c:a", "aac", "-b:a", str(AUDIO_BITS_PER_SECOND), "-flags:a", "+bitexact"),
        *("-f", "adts", "-"),
    )
    tone = art.tone().tobytes() * 3
    adts = subprocess.run(command, input=tone, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603 - Our own.
    frames = []
    start = 0
    while start < len(adts):
        # The 13-bit length of an ADTS frame straddles three bytes (ISO/IEC 14496-3 §1.A.2.2.1).
        length = (adts[start + 3] & 3) << 11 | adts[start + 4] << 3 | adts[start + 5] >> 5
        frames.append(adts[start : start + length])
        start += length
    loop_frames = art.LOOP_SAMPLES // SAMPLES_IN_AAC_FRAME
    # The encoder starts with one frame of silence.
    second_loop = frames[1 + loop_frames : 1 + 2 * loop_frames]
    path = folder / "tone.mp4"
    # Not directly into the fragmented file: ffmpeg would start to write that file before it knows
    # the decoder configuration.
    command = ffmpeg("-f", "aac", "-i", "-", "-c", "copy", "-bsf:a", "aac_adtstoasc", path)
    subprocess.run(command, input=b"".join(second_loop), check=True)  # noqa: S603 - Our own.
    return path


def package(folder: Path, each: Rendition, audio: Path) -> dict[str, int | str]:
    """Mux, split and check one rendition, write its files, and return its manifest entry."""
    whole = folder / f"{each.name}.fragmented.mp4"
    command = ffmpeg(
        *("-i", folder / f"{each.name}.mp4", "-i", audio, "-c", "copy"),
        *("-fflags", "+bitexact", "-map_metadata", "-1"),
        *("-video_track_timescale", str(VIDEO_TIMESCALE), "-movflags"),
        "+frag_keyframe+empty_moov+default_base_moof+skip_trailer",
        whole,
    )
    subprocess.run(command, check=True)  # noqa: S603 - Our own command line.
    data = whole.read_bytes()
    cuts = [box.start - HEADER_BYTES for box in boxes(data) if box.kind == b"moof"] + [len(data)]
    init = data[: cuts[0]]
    segments = [data[start:end] for start, end in itertools.pairwise(cuts)]
    check(segments)
    target = MEDIA / each.name.lower()
    target.mkdir(parents=True, exist_ok=True)
    (target / "init.mp4").write_bytes(init)
    for index, segment in enumerate(segments):
        (target / f"{index}.m4s").write_bytes(segment)
    profile, constraints, level = init[init.index(b"avcC") + 5 :][:3]
    sizes = [len(segment) for segment in segments]
    return {
        "resolution": each.name,
        "width": each.width,
        "height": each.height,
        "frame_rate": art.FRAMES_PER_SECOND,
        "codecs": f"avc1.{profile:02x}{constraints:02x}{level:02x},mp4a.40.2",
        "bandwidth": round(max(sizes) * 8 / SEGMENT_SECONDS),
        "average_bandwidth": round(sum(sizes) * 8 / (SEGMENTS * SEGMENT_SECONDS)),
    }


def check(segments: list[bytes]) -> None:
    """Exit with an error unless each segment starts at the previous one's end, in both tracks."""
    expected = [
        [(track["id"], index * track["segment_ticks"]) for track in TRACKS]
        for index in range(SEGMENTS)
    ]
    found = [
        [(time.track_id, time.ticks) for time in Fragment.parse(segment).decode_times]
        for segment in segments
    ]
    if found != expected:
        sys.exit(f"The segments have wrong decode times: {found}, expected {expected}")


def main() -> None:
    """Make all renditions and the manifest, and print their total size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encode_video(folder)
        audio = encode_audio(folder)
        manifest = {
            "segments": SEGMENTS,
            "tracks": TRACKS,
            "renditions": [package(folder, each, audio) for each in RENDITIONS],
        }
    (MEDIA / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    size = sum(path.stat().st_size for path in MEDIA.rglob("*") if path.is_file())
    sys.stdout.write(f"{MEDIA.relative_to(ROOT)}: {size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
