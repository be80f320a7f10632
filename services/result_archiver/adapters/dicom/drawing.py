"""Draws the picture of a Secondary Capture: the image, the places of the findings, and captions in Russian."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from result_archiver.adapters.dicom.pixels import Grey
from udckit.errors import PreconditionError

Colour = tuple[int, int, int]

SMALLEST_SIDE: Final = 768
"""A smaller image is enlarged by a whole factor, so that captions can be read."""
LARGEST_SIDE: Final = 2048
"""A larger image is reduced; the original is beside it in the archive."""

WHITE: Final[Colour] = (235, 235, 235)
WARNING: Final[Colour] = (255, 196, 0)
COLOURS: Final[Sequence[Colour]] = ((255, 80, 80), (80, 200, 255), (160, 255, 120), (255, 150, 255))
"""One for each finding that is drawn, in turn."""

_BACKGROUND: Final[Colour] = (0, 0, 0)
_LARGEST_FONT: Final = 44

Font = ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class Caption:
    """One line of text; it is wrapped where it is too long."""

    text: str
    colour: Colour = WHITE


@dataclass(frozen=True, slots=True)
class Outline:
    """Where a finding is: a mask of the image, or a closed line in its pixel coordinates (x, y)."""

    colour: Colour
    mask: NDArray[np.bool_] | None = None
    line: tuple[tuple[float, float], ...] = ()


class Typeface:
    """A TrueType font that can write Russian.

    Args:
        name: A file, or the name of one in the font directories of the system.

    Raises:
        PreconditionError: there is no such font, or it has no Cyrillic letters.
    """

    def __init__(self, name: str) -> None:
        try:
            sample = ImageFont.truetype(name, 24)
        except OSError as error:
            raise PreconditionError(
                f"there is no font {name}: install DejaVu (Debian: fonts-dejavu-core) or name another TrueType font"
            ) from error
        # A font without a letter draws the same empty box for each.
        if bytes(sample.getmask("Ж")) == bytes(sample.getmask("Щ")):
            raise PreconditionError(f"the font {name} has no Cyrillic letters")
        self._name = name

    def sized(self, size: int) -> Font:
        """Return the font at ``size`` pixels."""
        return ImageFont.truetype(self._name, size)


def draw(
    picture: Grey,
    outlines: Sequence[Outline],
    *,
    above: Sequence[Caption],
    below: Sequence[Caption],
    typeface: Typeface,
) -> NDArray[np.uint8]:
    """Draw one key image. Captions stand above and below the image, never on it.

    Args:
        picture: The source frame.
        outlines: Places to draw.
        above: Lines over the image.
        below: Lines under it.
        typeface: What captions are written in.

    Returns:
        RGB, shape ``(rows, columns, 3)``.
    """
    scaled = _scaled(picture)
    for outline in outlines:
        _draw_outline(scaled, outline, picture.shape)
    size = min(_LARGEST_FONT, max(16, scaled.width // 42))
    font = typeface.sized(size)
    head, foot = _band(above, scaled.width, font), _band(below, scaled.width, font)
    canvas = Image.new("RGB", (scaled.width, head.height + scaled.height + foot.height), _BACKGROUND)
    canvas.paste(head, (0, 0))
    canvas.paste(scaled, (0, head.height))
    canvas.paste(foot, (0, head.height + scaled.height))
    return np.asarray(canvas, np.uint8)


def _scaled(picture: Grey) -> Image.Image:
    rows, columns = picture.shape
    side = max(rows, columns)
    image = Image.fromarray(picture).convert("RGB")
    if side > LARGEST_SIDE:
        scale = LARGEST_SIDE / side
        return image.resize((round(columns * scale), round(rows * scale)), Image.Resampling.LANCZOS)
    factor = -(-SMALLEST_SIDE // side)
    return image.resize((columns * factor, rows * factor), Image.Resampling.BICUBIC)


def _draw_outline(image: Image.Image, outline: Outline, shape: tuple[int, ...]) -> None:
    width = max(2, round(image.width / 400))
    if outline.mask is not None:
        _draw_edge(image, outline.mask, outline.colour, width)
    if outline.line:
        rows, columns = shape
        points = [(x * image.width / columns, y * image.height / rows) for x, y in outline.line]
        ImageDraw.Draw(image).line(points, fill=outline.colour, width=width)


def _draw_edge(image: Image.Image, mask: NDArray[np.bool_], colour: Colour, width: int) -> None:
    """Draw the border just outside of a mask, so that what is inside stays visible."""
    enlarged = Image.fromarray(mask.astype(np.uint8) * 255).resize(image.size, Image.Resampling.NEAREST)
    inside = np.asarray(enlarged) > 127
    border = _grown(inside, width) & ~inside
    pixels = np.asarray(image).copy()
    pixels[border] = colour
    image.paste(Image.fromarray(pixels))


def _grown(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    grown = mask.copy()
    for _ in range(steps):
        wider = grown.copy()
        wider[1:] |= grown[:-1]
        wider[:-1] |= grown[1:]
        wider[:, 1:] |= grown[:, :-1]
        wider[:, :-1] |= grown[:, 1:]
        grown = wider
    return grown


def _band(captions: Sequence[Caption], width: int, font: Font) -> Image.Image:
    margin = round(font.size * 0.5)
    room = width - 2 * margin
    lines = [Caption(line, caption.colour) for caption in captions for line in _wrapped(caption.text, font, room)]
    step = round(font.size * 1.3)
    band = Image.new("RGB", (width, 2 * margin + step * len(lines)), _BACKGROUND)
    pen = ImageDraw.Draw(band)
    for number, line in enumerate(lines):
        pen.text((margin, margin + number * step), line.text, fill=line.colour, font=font)
    return band


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
