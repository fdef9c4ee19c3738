"""A frame, whatever its pixels are made of, as a smaller sRGB picture."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from huntaze.pipelines.video import tonemap

Image = NDArray[np.uint8]

_PAPER = 255  # what shows through transparent pixels
# AVCOL_SPC_* -> what swscale calls it. With any other (YCgCo, ICtCp, reserved numbers) it refuses the frame.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,  # constant luminance: not the same, but near
}


def is_hdr(transfer: int) -> bool:
    """AVCOL_TRC_* of PQ or HLG."""
    return transfer in tonemap.HDR_TRANSFERS


def reduce(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    width: int,
    height: int,
    *,
    fine: bool = False,
    peak: float = tonemap.PEAK,
) -> Image:
    """uint8 (height, width, 3), sRGB, as stored: not turned. peak: cd/m2, for PQ. Raises av.FFmpegError.

    Scaled first, so that what is done in numpy is done to few pixels. fine: with a chroma sample for every pixel, as
    swscale is off by up to 5 of 255 without. Both are chosen around a fault of swscale, which averages rightly only
    where both sides shrink, and to 16 bits rightly only without that: else it mixes up green.
    """
    deep = is_hdr(frame.color_trc) or frame.color_primaries in tonemap.WIDE_GAMUTS
    alpha = not deep and any(component.is_alpha for component in frame.format.components)
    matrix = _matrix(frame)
    way = Interpolation.AREA if width < frame.width and height < frame.height else Interpolation.BICUBIC
    if fine and not deep:
        way |= Interpolation.FULL_CHR_H_INT
    scaled = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="rgb48le" if deep else "rgba" if alpha else "rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        interpolation=way,
        threads=1,
    ).to_ndarray()
    if deep:
        return tonemap.to_srgb(scaled.astype(np.uint16, copy=False), frame.color_trc, frame.color_primaries, peak)
    pixels = np.asarray(scaled, dtype=np.uint8)
    return _on_paper(pixels) if alpha else pixels


def _matrix(frame: VideoFrame) -> Colorspace | None:
    """How to read Y, Cb and Cr. Where the file does not say: BT.2020 for HDR, BT.709 for what is larger than standard
    definition, as players do (swscale would take BT.601 for it), else BT.601."""
    if frame.format.is_rgb:
        return None
    if frame.colorspace in _MATRICES:
        return _MATRICES[frame.colorspace]
    if is_hdr(frame.color_trc):
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601


def _on_paper(rgba: Image) -> Image:
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = (rgba[..., :3] * alpha + _PAPER * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)
