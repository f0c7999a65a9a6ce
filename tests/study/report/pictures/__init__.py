"""What a picture shows, as far as a test can see it."""

from __future__ import annotations

from pathlib import Path

COLOURS = 20
"""A blank page has one colour. Smoothed letters and lines have more than these."""


def inked(picture: Path) -> bool:
    """Whether a picture is more than a blank page."""
    from PIL import Image

    # Counts up to the limit, and answers None beyond it. Sorting all pixels took a second per picture.
    with Image.open(picture) as image:
        return image.convert("RGBA").getcolors(COLOURS) is None
