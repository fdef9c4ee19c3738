"""High dynamic range and wide gamut to sRGB, on pictures that are small already. Pure numpy.

PQ and HLG as in ITU-R BT.2100, HLG on its nominal display of 1000 cd/m2, PQ from the brightest light that the file
tells of (`light.peak_of`). Down to a white of 203 cd/m2 (BT.2408) by the EETF of BT.2390-11, section 5.4, on the
largest of the three components, so that hues stay. Gamuts by the primaries' chromaticities, all with the white of D65;
what lies outside is clipped. All curves are tables.
"""

from functools import cache, lru_cache

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from numpy.typing import NDArray

PQ, HLG = int(ColorTrc.SMPTE2084), int(ColorTrc.ARIB_STD_B67)
HDR_TRANSFERS = frozenset({PQ, HLG})

WHITE = 203.0  # cd/m2 of what is white in sRGB
PEAK = 1000.0  # cd/m2 of what becomes that white where nobody tells: a usual master, and what HLG means
_PQ_MOST = 10_000.0
_STEPS = 4096

Floats = NDArray[np.float32]

_D65 = (0.3127, 0.3290)
_SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_GAMUTS = {
    int(ColorPrimaries.BT2020): ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    int(ColorPrimaries.SMPTE432): ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
WIDE_GAMUTS = frozenset(_GAMUTS)
_HLG_LUMA = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)


def to_srgb(rgb: NDArray[np.uint16], transfer: int, primaries: int, peak: float = PEAK) -> NDArray[np.uint8]:
    """(h, w, 3) of 16 bits, full range -> sRGB of 8 bits. transfer, primaries: AVCOL_TRC_*, AVCOL_PRI_*. peak: cd/m2
    of the brightest light, over `WHITE`; HLG is relative to its display and does not ask.

    Transfers other than PQ and HLG count as sRGB's own: only the gamut is converted. Unknown primaries are BT.2020's
    where the transfer is PQ or HLG, else sRGB's.
    """
    if transfer in HDR_TRANSFERS and primaries not in _GAMUTS:
        primaries = int(ColorPrimaries.BT2020)
    linear = _light(rgb, transfer, peak)
    if primaries in _GAMUTS:
        linear = linear @ gamut_matrix(primaries).T
    return _srgb_codes()[(np.clip(linear, 0.0, 1.0) * 65535.0 + 0.5).astype(np.uint16)]


def _light(rgb: NDArray[np.uint16], transfer: int, peak: float) -> Floats:
    """Linear light, 1.0 for white, toned down; in the gamut it came in."""
    if transfer == PQ:
        nits = _pq_table()[rgb]
    elif transfer == HLG:
        peak = PEAK
        scene = _hlg_table()[rgb]
        nits = scene * (PEAK * (scene @ _HLG_LUMA) ** 0.2)[..., None]  # the OOTF, gamma 1.2
    else:
        return _srgb_table()[rgb]
    brightest = np.sqrt(nits.max(axis=2) / _PQ_MOST) * (_STEPS - 1)
    return np.asarray(nits * _gains(peak)[brightest.astype(np.uint16)][..., None], dtype=np.float32)


def pq_decode(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ's EOTF (SMPTE ST 2084): 0..1 -> cd/m2."""
    root = np.asarray(code) ** (1 / 78.84375)
    return np.asarray(
        _PQ_MOST * (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    )


def pq_encode(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `pq_decode`."""
    power = (np.asarray(nits) / _PQ_MOST) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1.0 + 18.6875 * power)) ** 78.84375)


def eetf(nits: NDArray[np.float64], peak: float = PEAK) -> NDArray[np.float64]:
    """BT.2390's curve: light as mastered for `peak` -> light on a display of `WHITE`, both in cd/m2.

    Dark and middle tones stay as they are, from the knee on a Hermite spline bends them below the white.
    """
    top, white = pq_encode(np.array([peak, WHITE])).tolist()
    most = white / top
    knee = 1.5 * most - 0.5
    code = np.minimum(pq_encode(nits) / top, 1.0)
    t = np.maximum(code - knee, 0.0) / (1.0 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1.0 - knee) + (-2 * t**3 + 3 * t**2) * most
    return pq_decode(np.where(code < knee, code, bent) * top)


@cache
def gamut_matrix(primaries: int) -> Floats:
    """Linear light of that gamut -> of sRGB's, for column vectors."""
    return np.asarray(np.linalg.solve(_to_xyz(_SRGB), _to_xyz(_GAMUTS[primaries])), dtype=np.float32)


def _to_xyz(chromaticities: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    columns = np.array([(x / y, 1.0, (1.0 - x - y) / y) for x, y in (*chromaticities, _D65)]).T
    return np.asarray(columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3]))


def _codes() -> NDArray[np.float64]:
    return np.arange(65536) / 65535.0


@cache
def _pq_table() -> Floats:
    return pq_decode(_codes()).astype(np.float32)


@cache
def _hlg_table() -> Floats:
    """HLG's inverse OETF: scene light, 0..1."""
    code, a, b, c = _codes(), 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3.0, (np.exp((code - c) / a) + b) / 12.0).astype(np.float32)


@lru_cache(maxsize=8)
def _gains(peak: float) -> Floats:
    """What to multiply light with, by the square root of the brightest component over PQ's most."""
    nits = np.maximum((np.arange(_STEPS) / (_STEPS - 1)) ** 2 * _PQ_MOST, 1e-3)
    return (eetf(nits, peak) / nits / WHITE).astype(np.float32)


@cache
def _srgb_table() -> Floats:
    code = _codes()
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _srgb_codes() -> NDArray[np.uint8]:
    light = _codes()
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(code * 255.0).astype(np.uint8)
