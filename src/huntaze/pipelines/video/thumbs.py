"""The small picture of a frame by which it is judged."""

from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from huntaze.pipelines.video.colours import Image, reduce

THUMB = (64, 36)  # width, height, whatever the shape of the video


class Thumbs:
    """Makes thumbnails of one stream's frames, on one shared swscale context. For one thread. peak: see `Opened`."""

    def __init__(self, peak: float) -> None:
        self._peak = peak
        self._reformatter = VideoReformatter()

    def of(self, frame: VideoFrame) -> Image:
        """uint8 (36, 64, 3), as stored: neither turned nor in shape, which no score asks for. Raises av.FFmpegError."""
        return reduce(self._reformatter, frame, *THUMB, peak=self._peak)
