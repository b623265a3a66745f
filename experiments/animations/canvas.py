"""Frames of an animation drawn with Pillow, and their GIF: few colors, sharp edges, equal bytes."""

import io
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxseg import files

WIDTH = 480
"""Width of every animation in pixels."""
FINE = 2
"""Frames are drawn so many times larger and averaged, so that letters are smooth."""
COLORS = 48
"""Colors of a whole animation."""
Color = str | tuple[int, int, int]
"""A color by its name, "#rrggbb", or red, green and blue."""
PAPER, INK, SOFT, LINE = "#ffffff", "#1c1e21", "#5b6169", "#c9cdd2"
BLUE, ORANGE, RED = "#0b5fa5", "#e07b1a", "#c1272d"


def tint(color: str, share: float) -> tuple[int, int, int]:
    """Mix a color with white.

    Args:
        color: The color, "#rrggbb".
        share: Share of the color, 0 to 1.

    >>> tint("#000000", 0.5)
    (128, 128, 128)
    """
    channels = (int(color[n : n + 2], 16) for n in (1, 3, 5))
    red, green, blue = (round(255 + (channel - 255) * share) for channel in channels)
    return red, green, blue


def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), round(size * FINE))


class Canvas:
    """One frame; all places are in pixels of the animation.

    Args:
        height: Its height.
        title: Written above in bold letters.
    """

    def __init__(self, height: int, title: str = ""):
        self.image = Image.new("RGB", (WIDTH * FINE, height * FINE), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.text(WIDTH / 2, 16, title, size=15, bold=True)

    def box(
        self,
        x: float,
        y: float,
        side: float,
        *,
        fill: Color | None = None,
        outline: Color | None = None,
        thick: int = 1,
    ) -> None:
        """Draw a square.

        Args:
            x: Its left edge.
            y: Its upper edge.
            side: Its height and width.
            fill: Color inside.
            outline: Color of its edges.
            thick: Thickness of its edges.
        """
        left, upper, right, lower = (round(v * FINE) for v in (x, y, x + side, y + side))
        corners = [left, upper, right - 1, lower - 1]
        self.draw.rectangle(corners, fill=fill, outline=outline, width=thick * FINE)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        color: str = INK,
        bold: bool = False,
        anchor: str = "mm",
    ) -> None:
        """Write a line of text.

        Args:
            x: Its place.
            y: Likewise.
            text: The text.
            size: Height of its letters.
            color: Their color.
            bold: Write bold letters.
            anchor: Which of its points lies there, as Pillow names it: "mm" is the middle.
        """
        place = (x * FINE, y * FINE)
        self.draw.text(place, text, fill=color, font=_font(size, bold), anchor=anchor)

    def line(self, points: Sequence[tuple[float, float]], color: str, width: float = 2) -> None:
        """Draw a line through points."""
        scaled = [(x * FINE, y * FINE) for x, y in points]
        self.draw.line(scaled, fill=color, width=round(width * FINE), joint="curve")

    def dot(self, x: float, y: float, radius: float, color: str) -> None:
        """Draw a disk."""
        ends = [v * FINE for v in (x - radius, y - radius, x + radius, y + radius)]
        self.draw.ellipse(ends, fill=color)

    def finished(self) -> Image.Image:
        """Return the frame at its own size."""
        width, height = self.image.size
        return self.image.resize((width // FINE, height // FINE), Image.Resampling.BOX)


@dataclass(frozen=True)
class Grid:
    """Cells of numbers on a canvas.

    Attributes:
        x: Left edge in pixels.
        y: Upper edge.
        rows: Number of rows.
        columns: Number of columns.
        cell: Height and width of a cell.
    """

    x: float
    y: float
    rows: int
    columns: int
    cell: float

    def paint(self, canvas: Canvas, row: int, column: int, **style) -> None:
        """Draw a cell; see `Canvas.box`."""
        place = (self.x + column * self.cell, self.y + row * self.cell)
        canvas.box(*place, self.cell, **style)

    def write(self, canvas: Canvas, row: int, column: int, text: str, **style) -> None:
        """Write into a cell; see `Canvas.text`."""
        x, y = (self.x + (column + 0.5) * self.cell, self.y + (row + 0.5) * self.cell)
        canvas.text(x, y, text, **{"size": 0.42 * self.cell, **style})

    def caption(self, canvas: Canvas, text: str) -> None:
        """Write a line below the cells."""
        middle = self.x + self.columns * self.cell / 2
        canvas.text(middle, self.y + self.rows * self.cell + 11, text, size=11, color=SOFT)


@dataclass
class Animation:
    """Frames and how long each is shown.

    Attributes:
        frames: The frames.
        milliseconds: How long each is shown.
    """

    frames: list[Image.Image] = field(default_factory=list)
    milliseconds: list[int] = field(default_factory=list)

    def add(self, canvas: Canvas, milliseconds: int) -> None:
        """Append a frame."""
        self.frames.append(canvas.finished())
        self.milliseconds.append(milliseconds)

    def gif(self) -> bytes:
        """Encode the animation, which runs without end, with one palette for all frames."""
        width, height = self.frames[0].size
        sheet = Image.new("RGB", (width, height * len(self.frames)))
        for number, frame in enumerate(self.frames):
            sheet.paste(frame, (0, number * height))
        palette = sheet.quantize(COLORS, method=Image.Quantize.MEDIANCUT)
        # The mean of nearly white pixels is not white, and paper is.
        entries = np.array(palette.getpalette()).reshape(-1, 3)
        entries[np.all(entries > 246, axis=1)] = 255
        palette.putpalette(entries.ravel().tolist())
        flat = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in self.frames]
        buffer = io.BytesIO()
        flat[0].save(
            buffer,
            format="GIF",
            save_all=True,
            append_images=flat[1:],
            duration=self.milliseconds,
            loop=0,
            optimize=False,
        )
        return buffer.getvalue()

    def write(self, path: Path, *, ffmpeg: str | None = None) -> None:
        """Write the animation as a GIF, and as MP4 beside it where there is a program for that.

        Args:
            path: The GIF's path.
            ffmpeg: The program `ffmpeg`; None writes no MP4.
        """
        files.write_bytes(path, self.gif())
        if ffmpeg:
            self._write_mp4(path.with_suffix(".mp4"), ffmpeg)

    def _write_mp4(self, path: Path, ffmpeg: str) -> None:
        rate = 20
        width, height = self.frames[0].size
        size = f"{width}x{height}"
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(rate), "-i", "-"]
        coding = ["-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", str(path)]
        pictures = (
            np.asarray(frame).tobytes() * max(1, round(rate * shown / 1000))
            for frame, shown in zip(self.frames, self.milliseconds, strict=True)
        )
        command = [ffmpeg, "-y", "-loglevel", "error", *source, *coding]
        subprocess.run(command, input=b"".join(pictures), check=True)
