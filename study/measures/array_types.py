"""Types of arrays whose axes are named by letters: S seeds, W weight decays, L learning rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Records = NDArray[np.object_]
"""Stored cells, None where there is none."""
