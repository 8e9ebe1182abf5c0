"""Tag clouds of classes and concepts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont
from wordcloud import WordCloud

from raysel.report.drawing.style import INK, ORANGE, one_line

_DPI = 200
_MOST_TAGS = 30
_LONGEST_TAG = 24


def tag_cloud(shares: Mapping[str, float], size: tuple[float, float], framed: Collection[str] = ()) -> Image.Image:
    """The names, as large as their shares, on white; RGB.

    Args:
        shares: name -> share, at least one. The 30 largest are drawn, each on one line; a long name is cut.
        size: width and height, inches.
        framed: names in an orange frame.
    """
    largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TAGS]
    tags: dict[str, float] = {}
    in_frame = set()
    for name, share in largest:
        tag = one_line(name, _LONGEST_TAG) or "(no name)"
        tags[tag] = max(share, tags.get(tag, 0.0))
        if name in framed:
            in_frame.add(tag)
    font = font_with("".join(tags))
    cloud = WordCloud(
        font_path=font,
        width=round(size[0] * _DPI),
        height=round(size[1] * _DPI),
        background_color="white",
        prefer_horizontal=1.0,
        relative_scaling=0.4,
        max_font_size=72,
        min_font_size=14,
        margin=10,
        random_state=0,  # the same cloud each time
        color_func=lambda *_, **__: INK,
    ).generate_from_frequencies(tags)
    picture = cloud.to_image()
    pen = ImageDraw.Draw(picture)
    for (tag, _), font_size, (y, x), _, _ in cloud.layout_:
        if tag in in_frame:
            left, top, right, bottom = pen.textbbox((x, y), tag, ImageFont.truetype(font, font_size), "lt")
            pen.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=ORANGE, width=2)
    return picture


def font_with(text: str) -> str:
    """Path of DejaVu Sans or, if it lacks a letter of the text, of the first other font of this machine that has all.

    If there is none, as for Chinese on a machine without such fonts, it is DejaVu Sans, with boxes for these letters.
    """
    letters, usual = {ord(letter) for letter in text if not letter.isspace()}, findfont("DejaVu Sans")
    others = sorted(font.fname for font in fontManager.ttflist if not font.name.startswith("Last Resort"))
    return next((path for path in (usual, *others) if letters <= FT2Font(path).get_charmap().keys()), usual)
