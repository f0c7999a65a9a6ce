"""What is remembered of every cell: the durable ledger first, then the tracker that people browse."""

from tracking.address import conceal, doubtful, identity, redacted, shown, without_passwords, words_of
from tracking.ledger import Ledger
from tracking.ledger_errors import LedgerError
from tracking.mirror import Mirror, ReplacedError
from tracking.record import (
    DIVERGED,
    EVIDENCE,
    EXPORT_TYPES,
    EXPORTED,
    FAILED,
    FIELDS,
    FINISHED,
    OUTCOMES,
    CellRecord,
)

__all__ = [
    "DIVERGED",
    "EVIDENCE",
    "EXPORTED",
    "EXPORT_TYPES",
    "FAILED",
    "FIELDS",
    "FINISHED",
    "OUTCOMES",
    "CellRecord",
    "Ledger",
    "LedgerError",
    "Mirror",
    "ReplacedError",
    "conceal",
    "doubtful",
    "identity",
    "redacted",
    "shown",
    "without_passwords",
    "words_of",
]
