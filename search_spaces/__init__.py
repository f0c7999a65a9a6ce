"""What to train: axes, grids, cells and tiles. Pure Python."""

from search_spaces.axes import LogAxis, decades
from search_spaces.grid import Cell, Grid, Tile, digest, tiles

__all__ = ["Cell", "Grid", "LogAxis", "Tile", "decades", "digest", "tiles"]
