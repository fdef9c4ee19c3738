"""`make gallery`: what comes of every file of the shared videos, on one page to look at."""

import html
import io
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from huntaze.pipelines.errors import HuntazeError
from huntaze.pipelines.video.extract import Extraction, extract

ROOT = Path(__file__).resolve().parents[1]
VIDEOS = ROOT.parent / "shared" / "videos"
TO = ROOT / ".huntaze" / "gallery"
NOT_VIDEOS = {".md", ".json"}

_ACROSS = 5
_TILE, _LINES, _GAP = 420, 64, 12
_FONT = PIL.ImageFont.load_default(size=17)


@dataclass(frozen=True)
class Shown:
    """One file: what was seen in it, or the code and the sentence it was refused with."""

    name: str
    seen: Extraction | None
    words: str


def show(path: Path) -> Shown:
    begun = time.perf_counter()
    try:
        with path.open("rb") as file:
            seen = extract(file, size_bytes=path.stat().st_size)
    except HuntazeError as error:
        return Shown(path.name, None, f"{error.code}\n{error.message}")
    facts, seconds = seen.facts, time.perf_counter() - begun
    length = "?" if facts.duration_s is None else f"{facts.duration_s:.1f} s"
    marks = [
        word for word, is_so in (("HDR", facts.hdr), ("damaged", seen.damaged), ("cut short", seen.cut_short)) if is_so
    ]
    turned = f" turned {facts.rotation}" if facts.rotation else ""
    return Shown(
        path.name,
        seen,
        f"{facts.codec} {facts.width}x{facts.height}{turned}, {length}\n{' '.join([f'{seconds:.2f} s', *marks])}",
    )


def sheet(shown: list[Shown]) -> PIL.Image.Image:
    """All grids on one picture, names and facts below each."""
    rows = -(-len(shown) // _ACROSS)
    step = _TILE + _LINES + _GAP
    picture = PIL.Image.new("RGB", (_ACROSS * (_TILE + _GAP) + _GAP, rows * step + _GAP), (250, 250, 250))
    pen = PIL.ImageDraw.Draw(picture)
    for at, each in enumerate(shown):
        left, top = _GAP + at % _ACROSS * (_TILE + _GAP), _GAP + at // _ACROSS * step
        if each.seen is not None:
            grid = PIL.Image.fromarray(each.seen.grid.image)
            grid.thumbnail((_TILE, _TILE))
            picture.paste(grid, (left, top))
        else:
            pen.rectangle((left, top, left + _TILE, top + _TILE), fill=(225, 225, 225))
            pen.text((left + 20, top + _TILE // 2), each.words.split("\n")[0], fill=(150, 20, 20), font=_FONT)
        facts = each.words.split("\n") if each.seen is not None else []
        for line, text in enumerate([each.name, *facts]):
            pen.text((left, top + _TILE + 3 + 20 * line), text, fill=(20, 20, 20), font=_FONT)
    return picture


def page(shown: list[Shown], folder: Path) -> str:
    """HTML beside the pictures, which are written into `folder`."""
    figures = []
    for each in shown:
        words = html.escape(each.words).replace("\n", "<br>")
        pictures = ""
        if each.seen is not None:
            bodies = {"grid.jpg": each.seen.grid_jpeg, "poster.webp": each.seen.poster_webp()}
            bodies |= {"preview.webp": each.seen.preview_webp(), "storyboard.jpg": each.seen.storyboard.jpeg}
            for ending, body in bodies.items():
                (folder / f"{each.name}.{ending}").write_bytes(body)
                pictures += f'<img loading="lazy" alt="{ending}" src="{html.escape(each.name)}.{ending}">'
        figures.append(f"<section><h2>{html.escape(each.name)}</h2><p>{words}</p>{pictures}</section>")
    style = "body{font:15px sans-serif;margin:2em}img{max-height:420px;max-width:48%;margin:4px;vertical-align:top}"
    head = f'<!doctype html><meta charset="utf-8"><title>Gallery</title><style>{style}</style>'
    return f"{head}<h1>{len(shown)} files</h1>{''.join(figures)}\n"


def main() -> int:
    if not VIDEOS.is_dir():
        print(f"The shared videos are not here: {VIDEOS} is missing. Nothing was made.")
        return 1
    TO.mkdir(parents=True, exist_ok=True)
    shown = [show(path) for path in sorted(VIDEOS.iterdir()) if path.suffix not in NOT_VIDEOS]
    body = io.BytesIO()
    sheet(shown).save(body, "PNG")
    (TO / "sheet.png").write_bytes(body.getvalue())
    (TO / "index.html").write_text(page(shown, TO))
    grids = sum(each.seen is not None for each in shown)
    print(f"{grids} grids and {len(shown) - grids} codes: {TO / 'index.html'} and {TO / 'sheet.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
