"""Edge-seeking designs: the regions of a grid from a fraction of its cells, and an audit of the rest."""

from search_spaces.edge_design.audit import Audit
from search_spaces.edge_design.design import EdgeDesign
from search_spaces.edge_design.knowledge import Place, Point
from search_spaces.edge_design.sizes import Sizes

__all__ = ["Audit", "EdgeDesign", "Place", "Point", "Sizes"]
