"""What a workload is: model, data, loss, evaluation, and the score with its direction and chance level."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainers.models.dropout import pair_dropout
from trainers.quantization import QUANTIZATIONS
from trainers.quantization.layers import quantized
from trainers.workloads.windows import beneath

if TYPE_CHECKING:
    from trainers.budget import Budget

NUMERICS = 4
"""Raised whenever the same cell would give other numbers than before; part of every fingerprint."""


@dataclass(frozen=True)
class Smooth:
    """What is known of an objective f whose minibatch gradients are unbiased.

    Attributes:
        beta: |∇f(a) - ∇f(b)| <= beta |a - b|.
        variance: largest E|g - ∇f|² of a batch of so many examples, at any parameters.
        excess: f at a network's parameters minus the least value, or more than that.
    """

    beta: float
    variance: Callable[[int], float]
    excess: Callable[[nn.Module], float]


class Stored(ABC):
    """Examples that lie on disk, all of one shape and type.

    `[index]` reads some of them into a tensor on the CPU.

    Attributes:
        nbytes: size of all of them, decoded [bytes].
        identity: represents their content in fingerprints.
    """

    nbytes: int
    identity: str

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: slice | Tensor) -> Tensor: ...

    @abstractmethod
    def decoded(self) -> Tensor:
        """All of them; read once."""


@dataclass(frozen=True)
class Workload:
    """One learning problem.

    Attributes:
        build: makes an untrained network from torch's global generator.
        loss: `loss(output, target)`, the mean over a batch.
        score: `score(output, target)`, one number per example; the metric is its mean over the evaluation
            set.
        chance: the metric of guessing.
        prepare: `prepare(x, dtype)` makes a network's inputs of stored ones, on the device, for example
            normalised numbers of bytes.
        augment: `augment(x, y, seed)` changes training batches before that, with nothing but the seed to draw
            from. It may give targets another form, which `loss` then takes and `score` does not.
        smooth: the constants of convergence bounds, where they are known.
        output_numbers: how many numbers a network gives for one example, where they are so many that an
            evaluation must be split by them; 0 where its inputs say how large it is.
    """

    name: str
    build: Callable[[], nn.Module]
    train_x: Tensor | Stored
    train_y: Tensor
    eval_x: Tensor | Stored
    eval_y: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]
    metric_name: str
    higher_is_better: bool
    chance: float
    smooth: Smooth | None = None
    prepare: Callable[[Tensor, torch.dtype], Tensor] | None = None
    augment: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]] | None = None
    output_numbers: int = 0

    def __post_init__(self) -> None:
        for part in ("train_x", "train_y", "eval_x", "eval_y"):
            if not isinstance(getattr(self, part), (Tensor, Stored) if part.endswith("x") else Tensor):
                raise TypeError(
                    f"workload {self.name!r}: {part} is a {type(getattr(self, part)).__name__}; "
                    "wanted a tensor, the first dimension being examples"
                )
        if len(self.eval_x) == 0:
            raise ValueError(
                f"workload {self.name!r} has an evaluation set of 0 examples; give it at least one"
            )
        for part in ("train", "eval"):
            n_x, n_y = len(getattr(self, f"{part}_x")), len(getattr(self, f"{part}_y"))
            if n_x != n_y:
                raise ValueError(
                    f"workload {self.name!r}: {part}_x has {n_x} examples, {part}_y has {n_y}; "
                    "they must be equal"
                )

    def initial_model(self, seed: int) -> nn.Module:
        """The untrained network of a seed; the global generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, "weights"))
            return pair_dropout(self.build())

    def check(self, budget: Budget) -> None:
        """Refuse a budget that this workload and its network cannot be trained with.

        Raises:
            ValueError: the message says what was found, wanted, and to be done.
        """
        self.check_corruption(budget)
        scheme = QUANTIZATIONS[budget.quantization]
        if scheme is None:
            return
        try:
            quantized(self.initial_model(0), scheme, self.prepared(self.train_x[:1], torch.float32))
        except ValueError as error:
            raise ValueError(f"budget.quantization is {budget.quantization}, but {error}") from None

    def check_corruption(self, budget: Budget) -> None:
        """Refuse noise on inputs that are no numbers, such as tokens.

        Raises:
            ValueError: always then.
        """
        if budget.corruption and not self.prepared(self.train_x[:1], budget.dtype).is_floating_point():
            raise ValueError(
                f"budget.corruption is {budget.corruption:g}, and the inputs of {self.name} are whole "
                "numbers, to which no noise can be added; leave it out"
            )

    def prepared(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Stored inputs as the network takes them: in that precision, unless they are indices."""
        if self.prepare is not None:
            return self.prepare(x, dtype)
        return x.to(dtype) if x.is_floating_point() else x

    def fingerprint(self) -> str:
        """A hash of all in a workload that decides a cell's numbers: data, network and `NUMERICS`."""
        digest = hashlib.sha256(f"{NUMERICS}|{self.name}|{self.initial_model(0)}".encode())
        for part in (self.train_x, self.train_y, self.eval_x, self.eval_y):
            if isinstance(part, Stored):
                digest.update(part.identity.encode())
            else:
                digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
                shared = beneath(part)
                if shared is not None:
                    digest.update(str(part.stride()).encode())
                digest.update((part.contiguous() if shared is None else shared).numpy().data)
        return digest.hexdigest()[:16]


def batches(n: int, batch_size: int, seed: int, device: str | torch.device = "cpu") -> Iterator[Tensor]:
    """Endless index batches [B], without replacement inside an epoch, the same for every cell of a seed.

    Raises:
        ValueError: the batch is larger than the data.
    """
    if batch_size > n:
        raise ValueError(
            f"batch_size is {batch_size}, but the training set has {n} examples; lower it to at most {n}"
        )
    generator = torch.Generator().manual_seed(derived_seed(seed, "batches"))
    while True:
        order = torch.randperm(n, generator=generator).to(device)  # one transfer per epoch, none per step
        yield from order[: n - n % batch_size].split(batch_size)


def derived_seed(seed: int, purpose: str) -> int:
    """A generator seed for one purpose, so that weights, batches and noise do not share a stream."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:7], "big")
