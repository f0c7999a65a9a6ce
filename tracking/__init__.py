"""What is remembered of every cell: the durable ledger first, then the tracker that people browse."""

from tracking.ledger import Ledger
from tracking.mirror import Mirror
from tracking.record import FIELDS, CellRecord, as_row

__all__ = ["FIELDS", "CellRecord", "Ledger", "Mirror", "as_row"]
