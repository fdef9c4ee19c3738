"""What the sandbox says about a picture: from its own pixels (brightness, sharpness, colours of each cell), and it says
so in every text, so that nobody takes its answer for something a model has seen."""

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

CELL = 448  # pixels, as the grid is laid out
_DARK = 24  # an empty place of the grid is darker than this everywhere
_COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "red": (200, 40, 40),
    "orange": (240, 140, 40),
    "yellow": (235, 220, 60),
    "green": (60, 160, 70),
    "cyan": (60, 190, 200),
    "blue": (50, 90, 190),
    "purple": (130, 60, 170),
    "pink": (235, 130, 170),
    "brown": (120, 80, 50),
}
Pixels = npt.NDArray[np.uint8]


def read_picture(url: str) -> Pixels:
    """The picture of a data URI, (H, W, 3) uint8. Raises ValueError."""
    if not url.startswith("data:image/"):
        raise ValueError("send the image as a data URI")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[-1], validate=True)))
        return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError("the image cannot be read") from error


def image_tokens(picture: Pixels) -> int:
    """What Phi-4 Multimodal's processor makes of a picture: 273 + R*C + R, in rows and columns of 28 pixels."""
    height, width = int(picture.shape[0]), int(picture.shape[1])
    rows, columns = -(-height // 28), -(-width // 28)
    return 273 + rows * columns + rows


def answer(picture: Pixels) -> dict[str, Any]:
    """A report on a grid, (H, W, 3) uint8, from its pixels alone."""
    cells = [
        picture[top : top + CELL, left : left + CELL]
        for top in range(0, picture.shape[0], CELL)
        for left in range(0, picture.shape[1], CELL)
    ]
    seen = [(index, describe(cell)) for index, cell in enumerate(cells, 1) if cell.max() > _DARK]
    if not seen:
        seen = [(1, describe(picture))]
    best = max(seen, key=lambda one: one[1]["sharpness"])
    colours = list(dict.fromkeys(colour for _, facts in seen for colour in facts["colours"]))
    light = sum(facts["brightness"] for _, facts in seen) / len(seen)
    return {
        "summary": f"SANDBOX: no model has looked at this video. The grid holds {len(seen)} pictures, mean brightness "
        f"{light:.0f} of 255; colours found: {', '.join(colours)}.",
        "tags": ["sandbox", *colours],
        "scenes": [
            {
                "cell": index,
                "description": f"brightness {facts['brightness']:.0f}, sharpness {facts['sharpness']:.1f}, "
                f"mostly {' and '.join(facts['colours'])}",
            }
            for index, facts in seen
        ],
        "cover": {"cell": best[0], "reason": "the sharpest of the pictures, by its pixels"},
        "titles": [f"Sandbox answer for {len(seen)} pictures", f"Sandbox: mostly {colours[0]}"],
        "captions": ["Sandbox answer, made from pixels."],
        "hooks": ["Sandbox: nobody has watched this yet."],
        "language": None,
        "content_rating": "unknown",
        "safety_flags": [],
        "quality_notes": ["sandbox: nothing here was judged by a model"],
        "confidence": 0.0,
    }


def describe(cell: Pixels) -> dict[str, Any]:
    """Mean brightness (0..255), sharpness (mean step between neighbours) and the two commonest colours of a picture."""
    small = cell[::4, ::4].astype(np.int32)
    grey = small.mean(axis=2)
    palette = np.array(list(_COLOURS.values()))
    nearest = ((small[:, :, None, :] - palette) ** 2).sum(axis=3).argmin(axis=2)
    counts = np.bincount(nearest.ravel(), minlength=len(palette))
    names = list(_COLOURS)
    return {
        "brightness": float(grey.mean()),
        "sharpness": float(np.abs(np.diff(grey, axis=1)).mean()),
        "colours": [names[index] for index in counts.argsort()[::-1][:2]],
    }
