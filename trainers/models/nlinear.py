"""NLinear: a linear map of what differs from the last value."""

from __future__ import annotations

from torch import Tensor, nn


class NLinear(nn.Module):
    """Each variable less its last value, mapped from `context` to `horizon` values, plus that value."""

    def __init__(self, context: int, horizon: int) -> None:
        super().__init__()
        self.linear = nn.Linear(context, horizon)

    def forward(self, x: Tensor) -> Tensor:
        last = x[:, -1:]
        out = self.linear((x - last).transpose(1, 2).flatten(0, 1))
        forecast: Tensor = out.unflatten(0, (len(x), -1)).transpose(1, 2) + last
        return forecast


def nlinear(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """NLinear, the same map for every variable.

        out = W (x − x_last) + b + x_last

    Args:
        shape: (context, variables) of one example.
        outputs: horizon, the number of values to forecast for each variable.

    Reference: Zeng, Chen, Zhang, Xu, "Are Transformers Effective for Time Series Forecasting?", 2023, section
        4; its code, `models/NLinear.py` with individual = False.
    Differs from the reference: nothing.
    """
    return NLinear(shape[0], outputs)
