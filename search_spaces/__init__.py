"""What to train: axes, grids, cells, tiles, and designs that need fewer of them. Pure Python."""

from search_spaces.axes import LogAxis, around, decades
from search_spaces.edge_design import Audit, EdgeDesign, Place, Point, Sizes
from search_spaces.grid import Cell, Grid, Tile, digest, tiles

__all__ = [
    "Audit",
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
