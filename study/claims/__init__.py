"""Sentences from papers, measured and judged; with all that a claim of your own needs.

Example:
    >>> from study.claims import CLAIMS
    >>> CLAIMS["stabilizer-fewer-divergences"].sentence
    'it reduces divergence'
"""

from study.claims.baselines import against_others, keys_of
from study.claims.catalogue import CLAIMS, judge_claims
from study.claims.finding import Comparison, Finding
from study.claims.verdicts import Claim
from study.measures.divergence import collapse_share, divergence_share, lost_share
from study.measures.estimate import Estimate, difference, ratio
from study.measures.evidence import Evidence
from study.measures.landscape import Landscape
from study.measures.sensitivity import lr_sensitivity, wd_sensitivity
from study.measures.tuning import tuned_score
from study.spec.claim_rule import Decide, Rule

__all__ = [
    "CLAIMS",
    "Claim",
    "Comparison",
    "Decide",
    "Estimate",
    "Evidence",
    "Finding",
    "Landscape",
    "Rule",
    "against_others",
    "collapse_share",
    "difference",
    "divergence_share",
    "judge_claims",
    "keys_of",
    "lost_share",
    "lr_sensitivity",
    "ratio",
    "tuned_score",
    "wd_sensitivity",
]
