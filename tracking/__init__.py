"""What is remembered of every cell: the durable ledger first, then the tracker that people browse."""

from tracking.ledger import Ledger, LedgerError
from tracking.mirror import Mirror
from tracking.record import FIELDS, CellRecord

__all__ = ["FIELDS", "CellRecord", "Ledger", "LedgerError", "Mirror"]
