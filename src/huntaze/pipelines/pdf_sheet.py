"""What every PDF of ours begins and ends with: A4 in DejaVu, which matplotlib ships."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import TTFFont


@lru_cache(maxsize=1)
def font_folder() -> Path:
    """Where DejaVu is; matplotlib is not imported for it."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


class PdfSheet(FPDF):
    """Pages without a break of their own; `margin` in mm. Text begins and ends where the rules do."""

    def __init__(self, margin: float) -> None:
        super().__init__(format="A4")
        self.set_margins(margin, margin, margin)
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.add_font("DejaVu", "", font_folder() / "DejaVuSans.ttf")
        self.add_font("DejaVu", "B", font_folder() / "DejaVuSans-Bold.ttf")
        self.set_lang("en")

    def finished(self) -> bytes:
        """The file, once: it closes its fonts, whose files would stay open until they happen to be collected."""
        written = bytes(self.output())
        for font in self.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()
        return written
