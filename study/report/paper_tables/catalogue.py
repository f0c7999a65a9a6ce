"""Every kind of published table."""

from __future__ import annotations

from typing import Any

from study.report.paper_tables.gains import GAINS
from study.report.paper_tables.kind import Kind
from study.report.paper_tables.perplexities import PERPLEXITIES
from study.report.paper_tables.scores import SCORES

KINDS: tuple[Kind[Any], ...] = (SCORES, GAINS, PERPLEXITIES)
"""Add a kind by adding a file with its values and its table, and a row here. `study table` shows it."""
