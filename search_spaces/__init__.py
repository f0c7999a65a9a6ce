"""What to train: axes, grids, cells, tiles, and designs that need fewer of them. Pure Python."""

from search_spaces.axes import LogAxis, around, decades
from search_spaces.edges import EdgeDesign
from search_spaces.grid import Cell, Grid, Tile, digest, tiles
from search_spaces.knowledge import Point
from search_spaces.peaks import Place
from search_spaces.sizes import Sizes

__all__ = [
    "Cell",
    "EdgeDesign",
    "Grid",
    "LogAxis",
    "Place",
    "Point",
    "Sizes",
    "Tile",
    "around",
    "decades",
    "digest",
    "tiles",
]
