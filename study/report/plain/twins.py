"""The false-verdict rate on twins, as JSON has it."""

from __future__ import annotations

from typing import Any

from study.claims.twins import Rate, Twins


def twins_values(study: str, found: Twins) -> dict[str, Any]:
    """Rates with their intervals, overall and per claim, and what they rest on."""
    return {
        "study": study,
        "seeds_per_name": found.seeds,
        "replicates": found.replicates,
        "confidence": found.overall.confidence,
        "any": rate_values(found.overall),
        "claims": [
            {"id": name, **rate_values(rate), "false_verdicts": dict(found.verdicts[name])}
            for name, rate in found.claims.items()
        ],
        "sources": [
            {
                "settings": source.settings,
                "transform": source.transform,
                "seeds": source.seeds,
                "names": source.names,
            }
            for source in found.sources
        ],
        "left_out": [{"transform": name, "seeds": seeds} for name, seeds in found.left_out.items()],
    }


def rate_values(rate: Rate) -> dict[str, Any]:
    """A share with its interval; null where nothing was asked."""
    return {
        "false": rate.false,
        "asked": rate.asked,
        "share": rate.share,
        "interval": list(rate.interval) if rate.interval else None,
        "independent_studies": rate.independent,
    }
