"""DLinear: a forecast from a smooth part and the rest, by one linear map each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.naming import check_range


class DLinear(nn.Module):
    """Moving average and remainder of each variable, both mapped from `context` to `horizon` values."""

    def __init__(self, context: int, horizon: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.seasonal = nn.Linear(context, horizon)
        self.trend = nn.Linear(context, horizon)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}"

    def forward(self, x: Tensor) -> Tensor:
        # Two dimensions: then all cells of a tile multiply the same rows in one product.
        rows = x.transpose(1, 2).flatten(0, 1)
        smooth = moving_average(rows, self.kernel)
        out = self.seasonal(rows - smooth) + self.trend(smooth)
        forecast: Tensor = out.unflatten(0, (len(x), -1)).transpose(1, 2)
        return forecast


def moving_average(rows: Tensor, kernel: int) -> Tensor:
    """The mean of `kernel` neighbours in each row [N, length]; the ends are repeated outwards."""
    side = (kernel - 1) // 2
    first, last = rows[:, :1].expand(-1, side), rows[:, -1:].expand(-1, side)
    return functional.avg_pool1d(torch.cat([first, rows, last], 1), kernel, stride=1)


def dlinear(shape: tuple[int, ...], outputs: int, kernel: int = 25) -> nn.Module:
    """DLinear, the same maps for every variable.

        trend = moving average of x,   out = W_s (x − trend) + b_s + W_t trend + b_t

    Args:
        shape: (context, variables) of one example.
        outputs: horizon, the number of values to forecast for each variable.
        kernel: length of the moving average, odd [rows].

    Raises:
        ValueError: a constant is out of range.

    Reference: Zeng, Chen, Zhang, Xu, "Are Transformers Effective for Time Series Forecasting?", 2023, section
        4; its code, `models/DLinear.py` with individual = False.
    Differs from the reference: nothing.
    """
    check_range("dlinear", 1, kernel=kernel)
    if kernel % 2 == 0:
        raise ValueError(f"dlinear: kernel is {kernel}; wanted an odd number, so that the mean has a middle")
    return DLinear(shape[0], outputs, kernel)
