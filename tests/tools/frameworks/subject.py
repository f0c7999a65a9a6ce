"""What every framework trains, and the plain loop that it has to equal."""

from __future__ import annotations

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.trainers.making import transform_of
from trainers import attach

STEPS, BATCH = 8, 4
NAMES = ("clip_norm", "agc", "autoclip", "gradient_stabilizer", "stable_spam", "spam", "autoscale")
"""Transforms without state, with state, with a signal, and one that reads parameters."""


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def data() -> TensorDataset:
    """As many examples as one epoch of `STEPS` batches needs."""
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(STEPS * BATCH, 6, generator=generator)
    return TensorDataset(x, torch.randn(STEPS * BATCH, 3, generator=generator))


def batches() -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(data(), batch_size=BATCH)


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (model(x) - y).square().mean()


def optimizer(model: nn.Module, *, fused: bool = False) -> optim.Optimizer:
    return optim.AdamW(model.parameters(), lr=0.05, fused=fused)


def scheduler(rule: optim.Optimizer) -> optim.lr_scheduler.LambdaLR:
    return optim.lr_scheduler.LambdaLR(rule, lambda step: 0.8**step)


class Named(Dataset[dict[str, Tensor]]):
    """The examples, with the names of the model's arguments."""

    def __len__(self) -> int:
        return len(data())

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        x, y = data()[index]
        return {"x": x, "labels": y}


class Scored(nn.Module):
    """The model, which gives the Trainer its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": loss_of(self.model, x, labels)}


def plain(name: str, *, accumulate: int = 1, clip: float | None = None) -> dict[str, Tensor]:
    """The parameters after a loop of the user's own."""
    model = network()
    rule = optimizer(model)
    rates = scheduler(rule)
    attach(rule, transform_of(name))
    for t, (x, y) in enumerate(batches(), start=1):
        (loss_of(model, x, y) / accumulate).backward()
        if t % accumulate == 0:
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            rule.step()
            rule.zero_grad()
            rates.step()
    return model.state_dict()


def assert_same(found: nn.Module, wanted: dict[str, Tensor]) -> None:
    """Equal to the last bit, and not where training began."""
    start = network().state_dict()
    for key, value in found.state_dict().items():
        assert torch.equal(value, wanted[key]), f"{key}: {(value - wanted[key]).abs().max():g} apart"
        assert not torch.allclose(value, start[key], rtol=1e-3)
