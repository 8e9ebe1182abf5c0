"""Tag clouds of classes and concepts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from wordcloud import WordCloud

from raysel.report.drawing.style import INK, ORANGE

_DPI = 200
_MOST_TAGS = 30
_LONGEST_TAG = 24


def tag_cloud(shares: Mapping[str, float], size: tuple[float, float], framed: Collection[str] = ()) -> Image.Image:
    """The names, as large as their shares, on white; RGB.

    Args:
        shares: name -> share, at least one. The 30 largest are drawn; a long name is cut.
        size: width and height, inches.
        framed: names in an orange frame.
    """
    font = findfont("DejaVu Sans")
    largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TAGS]
    tags: dict[str, float] = {}
    in_frame = set()
    for name, share in largest:
        tag = name if len(name) <= _LONGEST_TAG else f"{name[: _LONGEST_TAG - 1]}…"
        tags[tag] = max(share, tags.get(tag, 0.0))
        if name in framed:
            in_frame.add(tag)
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
