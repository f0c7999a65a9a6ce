"""How the gradients of all cells of a tile are computed: vectorised over cells, or cell by cell."""

from trainers.fusion.gradients import cell_by_cell, vectorised
from trainers.fusion.layers import fusable
from trainers.fusion.products import quickest_together
from trainers.fusion.work import fills_processor

__all__ = ["cell_by_cell", "fills_processor", "fusable", "quickest_together", "vectorised"]
