"""Color naming by Benavente, Vanrell and Baldrich (2008), one color at a time, to compare the product with.

It imports nothing from raysel. The parameters are those of the paper's table: each name has both of its sigmoids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

Color = tuple[float, float, float]

NAMES = ["red", "orange", "brown", "yellow", "green", "blue", "purple", "pink", "black", "gray", "white"]

UP_TO = (31, 42, 51, 66, 76, 101)
ELLIPSES = """
0.42 0.25 5.89 7.47 9.84 2.32
0.23 0.66 6.46 7.87 6.03 17.59
-0.12 0.52 5.38 6.98 6.81 19.58
-0.44 1.08 6.06 7.50 7.32 24.55
-0.57 1.16 5.37 6.90 100 24.75
-1.26 1.81 6.04 7.39 100 -1.19
"""
"""Per level: ta, tb, ea, eb, beta_e, phi."""
SECTORS = """
red -2.24 .90 -56.55 1.72; brown 33.45 1.72 14.56 .84; green 104.56 .84 134.59 1.95; blue 224.59 1.95 -147.15 1.01; purple -57.15 1.01 -92.24 .90
red 2.21 .52 -48.81 5.0; brown 41.19 5.0 6.87 .69; green 96.87 .69 120.46 .96; blue 210.46 .96 -148.48 .92; purple -58.48 .92 -105.72 1.10; pink -15.72 1.10 -87.79 .52
red 13.57 1.0 -45.55 .57; orange 44.45 .57 -28.76 .52; brown 61.24 .52 6.65 .84; green 96.65 .84 109.38 .60; blue 199.38 .60 -148.24 .80; purple -58.24 .80 -112.63 .62; pink -22.63 .62 -76.43 1.0
red 26.52 .94 -57.01 .75; orange 32.99 .75 -9.88 .48; yellow 80.12 .48 5.67 .73; green 95.67 .73 108.32 .64; blue 198.32 .64 -148.77 .76; purple -58.77 .76 -123.92 5.0; pink -33.92 5.0 -63.48 .94
orange 25.75 2.0 -15.85 .84; yellow 74.15 .84 12.27 .86; green 102.27 .86 98.57 .74; blue 188.57 .74 -150.83 .47; purple -60.83 .47 -122.55 1.74; pink -32.55 1.74 -64.25 2.0
orange 25.74 1.03 -17.56 .79; yellow 72.44 .79 16.24 .96; green 106.24 .96 100.05 .90; blue 190.05 .90 -149.43 .60; purple -59.43 .60 -122.37 1.93; pink -32.37 1.93 -64.26 1.03
"""  # noqa: E501
"""Per level and name: alpha_a, beta_a, alpha_b, beta_b."""


def sigmoid(x: float, slope: float) -> float:
    return 1 / (1 + math.exp(min(-slope * x, 700)))


def lab(rgb: Color) -> Color:
    """sRGB in 0..1 to CIELab, D65."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def names(rgb: Color) -> dict[str, float]:
    """Membership of each name; they sum to 1."""
    lightness, a, b = lab(rgb)
    level = next(number for number, end in enumerate(UP_TO) if lightness <= end)
    ta, tb, ea, eb, slope, phi = (float(value) for value in ELLIPSES.split("\n")[level + 1].split())
    x, y = a - ta, b - tb
    turn = math.radians(phi)
    u, v = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    ellipse = sigmoid((u / ea) ** 2 + (v / eb) ** 2 - 1, slope)
    found = dict.fromkeys(NAMES, 0.0)
    for entry in SECTORS.split("\n")[level + 1].split(";"):
        name, *numbers = entry.split()
        alpha_a, beta_a, alpha_b, beta_b = (float(value) for value in numbers)
        first, last = math.radians(alpha_a), math.radians(alpha_b)
        after = sigmoid(-x * math.sin(first) + y * math.cos(first), beta_a)
        before = sigmoid(x * math.cos(last) + y * math.sin(last), beta_b)
        found[name] = after * before * ellipse
    rest = max(0.0, 1 - sum(found.values()))
    found["black"] = rest * sigmoid(lightness - 28.28, -0.71)
    found["gray"] = rest * sigmoid(lightness - 28.28, 0.71) * sigmoid(lightness - 79.65, -0.31)
    found["white"] = rest * sigmoid(lightness - 79.65, 0.31)
    total = sum(found.values())
    return {name: value / total for name, value in found.items()}


def shares(colors: Iterable[tuple[Color, float]]) -> dict[str, float] | None:
    """Mean memberships of weighted colors; None without any."""
    total, weights = dict.fromkeys(NAMES, 0.0), 0.0
    for rgb, weight in colors:
        weights += weight
        for name, value in names(rgb).items():
            total[name] += weight * value
    return {name: value / weights for name, value in total.items()} if weights else None
