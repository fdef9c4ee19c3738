"""What can be wrong with a video: a stable code and a sentence for the person who uploaded it.

Every code is permanent: the same bytes fail the same way tomorrow (`media.changed` is about bytes that do not stay
the same). A fault of the store that holds the bytes is
never one of these (see `source.Source`), it keeps its own type and is retried.
"""

from typing import Final

from huntaze.pipelines.errors import Permanent

EMPTY: Final = "media.empty"
UNREADABLE: Final = "media.unreadable"
NO_VIDEO: Final = "media.no_video"
UNSUPPORTED_FORMAT: Final = "media.unsupported_format"
TOO_LARGE: Final = "media.too_large"
TOO_MANY_PIXELS: Final = "media.too_many_pixels"
TOO_MANY_STREAMS: Final = "media.too_many_streams"
TOO_LONG: Final = "media.too_long"
TIMEOUT: Final = "media.timeout"
OVER_MEMORY: Final = "media.over_memory"
OVER_BUDGET: Final = "media.over_budget"
NO_FRAMES: Final = "media.no_frames"
CHANGED: Final = "media.changed"

SENTENCES: Final[dict[str, str]] = {
    EMPTY: "The file is empty. Upload the video again and wait until the upload has finished.",
    UNREADABLE: (
        "The file could not be read as a video: it is damaged, cut off, or something else under a video's name. "
        "Check that it plays on your device, then export or upload it again."
    ),
    NO_VIDEO: "The file holds no moving picture, only sound or a cover image. Upload a file with a video track.",
    UNSUPPORTED_FORMAT: (
        "The file is of a kind that is not accepted as a video. Export it as MP4, MOV, WebM or MKV and upload that."
    ),
    TOO_LARGE: "The file is {size_gb:.1f} GB, more than the {limit_gb:.0f} GB allowed. Export it smaller or cut it.",
    TOO_MANY_PIXELS: (
        "The picture is {width:.0f}x{height:.0f}, larger than the {limit_mp:.0f} megapixels allowed. "
        "Export it at 8K (7680x4320) or below."
    ),
    TOO_MANY_STREAMS: (
        "The file holds {count:.0f} tracks, more than the {limit:.0f} allowed. "
        "Export it with one video and one audio track."
    ),
    TOO_LONG: "The video runs {hours:.1f} hours, longer than the {limit_hours:.0f} allowed. Cut it into parts.",
    TIMEOUT: (
        "Decoding the video took more time than one file may use. "
        "Export it in a common format such as H.264 MP4, at 4K or below, and upload that."
    ),
    OVER_MEMORY: (
        "Decoding the video took more memory than one file may use. "
        "Export it in a common format such as H.264 MP4, at 4K or below, and upload that."
    ),
    OVER_BUDGET: (
        "Finding pictures in the video needs more of the file than may be read, mostly because it has no index. "
        "Export it as an MP4 with fast start (index in front) and upload that."
    ),
    CHANGED: (
        "The file was replaced while it was looked at, and once more when that was begun again. "
        "Ask again when the last upload to this place has finished."
    ),
    NO_FRAMES: "The file has a video track, but not one picture of it can be decoded. Export it again and upload that.",
}


class MediaError(Permanent):
    """The uploaded file cannot be used. Never retried; `message` may be shown to its owner as it is."""


def media_error(code: str, **facts: float) -> MediaError:
    """The error for one of this module's codes; `facts` fill the blanks of its sentence."""
    return MediaError(code, SENTENCES[code].format(**facts))
