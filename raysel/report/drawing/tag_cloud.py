"""Tag clouds of classes and concepts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont
from wordcloud import WordCloud

from raysel.report.drawing.style import INK, ORANGE, one_line

_DPI = 200
_MOST_FRAMED = 10
_TRIES = ((30, 72), (22, 44), (22, 34), (22, 26), (14, 34), (14, 26), (10, 20))
"""(most tags, height of the largest in pixels): the first that has room for all framed tags is taken, or the last."""
_LONGEST_TAG = 24


def tag_cloud(shares: Mapping[str, float], size: tuple[float, float], framed: Collection[str] = ()) -> Image.Image:
    """The names, as large as their shares, on white; RGB.

    Args:
        shares: name -> share, at least one. Up to 30 are drawn, the largest, each on one line; a long name is cut.
        size: width and height, inches.
        framed: names in an orange frame. The 10 largest are drawn in any case, if need be beside fewer others.
    """
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    first = [item for item in ordered if item[0] in framed][:_MOST_FRAMED]
    others = [item for item in ordered if item not in first]
    in_frame = {_tag(name) for name, _ in first}
    font = font_with("".join(shares))
    for most, letters in _TRIES:
        tags: dict[str, float] = {}
        for name, share in first + others[: most - len(first)]:
            tags[_tag(name)] = max(share, tags.get(_tag(name), 0.0))
        cloud = _laid_out(tags, size, font, letters)
        if in_frame <= {tag for (tag, _), *_ in cloud.layout_}:
            break
    picture = cloud.to_image()
    pen = ImageDraw.Draw(picture)
    for (tag, _), font_size, (y, x), _, _ in cloud.layout_:
        if tag in in_frame:
            left, top, right, bottom = pen.textbbox((x, y), tag, ImageFont.truetype(font, font_size), "lt")
            pen.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=ORANGE, width=2)
    return picture


def _tag(name: str) -> str:
    return one_line(name, _LONGEST_TAG) or "(no name)"


def _laid_out(tags: Mapping[str, float], size: tuple[float, float], font: str, letters: int) -> WordCloud:
    return WordCloud(
        font_path=font,
        width=round(size[0] * _DPI),
        height=round(size[1] * _DPI),
        background_color="white",
        prefer_horizontal=1.0,
        relative_scaling=0.4,
        max_font_size=letters,
        min_font_size=14,
        margin=10,
        random_state=0,  # the same cloud each time
        color_func=lambda *_, **__: INK,
    ).generate_from_frequencies(tags)


def font_with(text: str) -> str:
    """Path of DejaVu Sans or, if it lacks a letter of the text, of the first other font of this machine that has all.

    If there is none, as for Chinese on a machine without such fonts, it is DejaVu Sans, with boxes for these letters.
    """
    letters, usual = {ord(letter) for letter in text if not letter.isspace()}, findfont("DejaVu Sans")
    others = sorted(font.fname for font in fontManager.ttflist if not font.name.startswith("Last Resort"))
    return next((path for path in (usual, *others) if letters <= FT2Font(path).get_charmap().keys()), usual)
