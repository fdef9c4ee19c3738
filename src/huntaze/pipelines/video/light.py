"""How bright the brightest of a film is, as the file tells it: what a tone map bends down to white."""

import struct

from av.video.frame import VideoFrame

from huntaze.pipelines.video.tonemap import PEAK

# Anybody can write anything there: no master is made for less or more than these, and a curve for 10,000 cd/m2, which
# some encoders write for "not known", turns an ordinary film into dusk.
PEAK_LEAST, PEAK_MOST = 400.0, 4000.0
_DISPLAY = struct.Struct("=20i2i")  # AVMasteringDisplayMetadata: rationals of primaries, white, least and most; flags
_CONTENT = struct.Struct("=I")  # AVContentLightMetadata: MaxCLL first


def peak_of(frame: VideoFrame) -> float:
    """cd/m2, from `PEAK_LEAST` to `PEAK_MOST`: the brightest pixel by the content light level (CTA-861.3), never more
    than the display could show that it was mastered on (SMPTE ST 2086); `PEAK` where the file tells neither."""
    told = [nits for nits in (_display_most(frame), _content_most(frame)) if nits > 0]
    return min(max(min(told), PEAK_LEAST), PEAK_MOST) if told else PEAK


def _display_most(frame: VideoFrame) -> float:
    data = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if len(data) < _DISPLAY.size:
        return 0.0
    *_, number, of, _, has_luminance = _DISPLAY.unpack_from(data)
    return number / of if has_luminance and of > 0 else 0.0


def _content_most(frame: VideoFrame) -> float:
    data = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    return float(_CONTENT.unpack_from(data)[0]) if len(data) >= _CONTENT.size else 0.0


def _side_data(frame: VideoFrame, name: str) -> bytes:
    try:
        return bytes(frame.side_data[name])  # type: ignore[literal-required]
    except KeyError:
        return b""
