"""What gradients and steps look like while cells train: deviations, norms, directions, update ratios."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import itemgetter

import torch
from torch import Tensor
from torch.utils._pytree import register_dataclass

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Dynamics:
    """Statistics of C cells at J steps: what was measured, infinite or NaN where it overflowed.

    NaN also where a cell had ended (`Curves.last_step_C`), and where a quotient is 0/0.

    Attributes:
        step_J: steps (counted from 1) at which they were taken.
        layers: names of the N parameters with more than one dimension.
        grad_std_JC: unbiased standard deviation over all entries of these parameters' gradients, before the
            transform.
        layer_std_JCN: the same for each of them.
        grad_norm_JC: global Euclidean norm of the gradient, before the transform.
        scale_JC: the transform's own scale factor if it keeps one, else the ratio of global norms after and
            before it.
        update_ratio_JC: norm of the step divided by the norm of the parameters before it.
        out_norm_JC: global norm of the gradient after the transform.
        tensor_norm_JC: largest norm of one tensor's gradient after the transform.
        cosine_JC: cosine between the gradient before and after the transform, over all parameters together.
        least_cosine_JC: the same per tensor, the least of them; a tensor whose gradient is zero has no
            direction and is left out. NaN where that of another tensor overflowed.
        gain_JCN: ratio of a weight's gradient norms after and before the transform, for each of the N
            parameters.
        probes: of a network that offers probes, by name what it showed of itself on the step's first
            micro-batch before the step, and `LEAST_RMS`; each of shape [J, C].
    """

    step_J: tuple[int, ...]
    layers: tuple[str, ...]
    grad_std_JC: Tensor
    layer_std_JCN: Tensor
    grad_norm_JC: Tensor
    scale_JC: Tensor
    update_ratio_JC: Tensor
    out_norm_JC: Tensor
    tensor_norm_JC: Tensor
    cosine_JC: Tensor
    least_cosine_JC: Tensor
    gain_JCN: Tensor
    probes: Mapping[str, Tensor] = field(default_factory=dict)

    def end(self, cell: int, last: float) -> None:
        """Forget what was measured of a cell after the last step that it lived through."""
        past = [j for j, at in enumerate(self.step_J) if at > last]
        for series in (*(getattr(self, name) for name in SHAPED), *self.probes.values()):
            series[past, cell] = torch.nan


NAMES = (
    "grad_std",
    "layer_std",
    "grad_norm",
    "scale",
    "update_ratio",
    "out_norm",
    "tensor_norm",
    "cosine",
    "least_cosine",
    "gain",
)
"""What is measured at a moment, in the order of the fields of `Dynamics`."""
SHAPED = tuple(each.name for each in fields(Dynamics))[2:-1]
"""The fields of `Dynamics` with these numbers."""
LEAST_RMS = "least_rms"
"""The least root mean square of one tensor's gradient after the transform.

Where it is not far above an optimizer's epsilon, that tensor stands still.
"""


def layers_of(params: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Parameters of one cell that have more than one dimension."""
    return tuple(name for name, p in params.items() if p.dim() > 1)


@dataclass(frozen=True, eq=False)
class Moment:
    """One step of a tile; every tensor has the cells as its first dimension.

    Attributes:
        before, after: parameters before and after the step.
        grads, out: gradients before and after the transform.
        transform_state: what the transform remembers after it.
    """

    before: Tensors
    after: Tensors
    grads: Tensors
    out: Tensors
    transform_state: Tensors


register_dataclass(Moment)


def measured(layers: tuple[str, ...], moment: Moment) -> Tensors:
    """The statistics of a moment: for each of `NAMES` a tensor that begins with the cells."""
    grads, out, before = moment.grads, moment.out, moment.before
    flat = {name: grads[name].flatten(1) for name in layers}
    device = next(iter(grads.values())).device
    counts = torch.tensor([g.shape[1] for g in flat.values()], dtype=torch.float64, device=device)
    mean = torch.stack([g.mean(1) for g in flat.values()], 1)
    # The norm of what is left of the mean, because torch's own deviation is many times slower on a CPU.
    centred = [g - mean[:, n : n + 1] for n, g in enumerate(flat.values())]
    rest = torch.stack([torch.linalg.vector_norm(g, dim=1) for g in centred], 1).double() ** 2
    mean = mean.double()
    total = counts.sum()
    centre = (mean * counts).sum(1, keepdim=True) / total
    squares = rest + counts * (mean - centre) ** 2
    before_CP, after_CP = tensor_norms(grads), tensor_norms(out)
    norm, out_norm = torch.linalg.vector_norm(before_CP, dim=1), torch.linalg.vector_norm(after_CP, dim=1)
    along_CP = along(grads, out, before_CP)
    product_CP = before_CP * after_CP
    cosine_CP = torch.where(torch.isfinite(product_CP), along_CP / after_CP, torch.nan)
    zero_CP = (before_CP == 0) | (after_CP == 0)
    least = torch.where(zero_CP, torch.inf, cosine_CP).amin(1)
    place = {name: p for p, name in enumerate(grads)}
    weights = torch.tensor([place[name] for name in layers], device=norm.device)
    step = {name: moment.after[name] - p for name, p in before.items()}
    state = moment.transform_state
    return {
        "grad_std": torch.sqrt(squares.sum(1) / (total - 1)),
        "layer_std": torch.sqrt(rest / torch.clamp(counts - 1, min=1)),
        "grad_norm": norm,
        "scale": state["factor"].double() if "factor" in state else out_norm / norm,
        "update_ratio": norms(step) / norms(before),
        "out_norm": out_norm,
        "tensor_norm": after_CP.amax(1),
        # Over an infinite norm it would be 0, which no direction says.
        "cosine": torch.where(
            torch.isfinite(norm * out_norm), (along_CP * before_CP).sum(1) / (norm * out_norm), torch.nan
        ),
        "least_cosine": torch.where(torch.isinf(least), torch.nan, least),
        "gain": (after_CP / before_CP)[:, weights],
    }


def least_rms(out: Tensors) -> Tensor:
    """`LEAST_RMS` of each cell, shape [C]; 0 where a tensor has no gradient."""
    counts = torch.tensor([g[0].numel() for g in out.values()], dtype=torch.float64)
    return (tensor_norms(out) / counts.sqrt().to(next(iter(out.values())).device)).amin(1)


def along(grads: Tensors, out: Tensors, norm_CP: Tensor) -> Tensor:
    """Length of each outgoing tensor along the incoming one, shape [C, P]."""
    # Scaled first, because products of two tiny numbers would be zero.
    scale_CP = torch.where(norm_CP > 0, 1 / norm_CP, 0.0)
    each = [
        torch.linalg.vecdot((scale_CP[:, p : p + 1] * g.flatten(1)).to(g.dtype), out[name].flatten(1))
        for p, (name, g) in enumerate(grads.items())
    ]
    return torch.stack(each, 1).double()


def tensor_norms(tensors: Tensors) -> Tensor:
    """Euclidean norm of each of the P tensors of each cell, shape [C, P]."""
    return torch.stack([torch.linalg.vector_norm(t.flatten(1), dim=1) for t in tensors.values()], 1).double()


def norms(tensors: Tensors) -> Tensor:
    """Global Euclidean norm of each cell, shape [C]."""
    norm: Tensor = torch.linalg.vector_norm(tensor_norms(tensors), dim=1)
    return norm


class Recorder:
    """Collects moments at every k-th step and at every spike; cells that left the tile have NaN.

    Args:
        spiked: steps (counted from 1) with a spike, whatever its size, so that settings that differ in the
            size have the same moments.
    """

    def __init__(
        self, every: int, params: Mapping[str, Tensor], cells: int, spiked: Collection[int] = ()
    ) -> None:
        self.every, self.layers, self.cells, self.spiked = every, layers_of(params), cells, frozenset(spiked)
        self.moments: list[tuple[int, Tensors]] = []

    def due(self, step: int) -> bool:
        """Whether a step, counted from 1, is recorded: the first, every k-th after it, those with a spike."""
        return self.every > 0 and ((step - 1) % self.every == 0 or step in self.spiked)

    def add(
        self, step: int, index_C: Tensor, moment: Moment, probes: Mapping[str, Tensor] | None = None
    ) -> None:
        """Record a moment of cells that are still in the tile, `index_C` being their places in it.

        Args:
            probes: what a network showed of itself before the step, each of shape [C]; the same names at
                every moment.
        """
        whole = next((found for at, found in self.moments if at == step), None)
        if whole is None:
            whole = {}
            self.moments.append((step, whole))
            self.moments.sort(key=itemgetter(0))
        found = measured(self.layers, moment)
        if probes:
            found |= {**probes, LEAST_RMS: least_rms(moment.out)}
        for name, value in found.items():
            if name not in whole:
                whole[name] = value.new_full((self.cells, *value.shape[1:]), torch.nan)
            whole[name][index_C] = value

    def result(self) -> Dynamics | None:
        """All moments, or None when nothing was recorded."""
        if not self.moments:
            return None
        steps = tuple(step for step, _ in self.moments)
        stacked: Tensors = {}
        # What is there beside the usual names are probes. They may have been recorded by another process.
        for name in self.moments[0][1]:
            stacked[name] = torch.stack([moment[name] for _, moment in self.moments]).cpu()
        usual = [stacked.pop(name) for name in NAMES]
        return Dynamics(steps, self.layers, **dict(zip(SHAPED, usual, strict=True)), probes=stacked)


def beside(runs: Sequence[Dynamics]) -> Dynamics | None:
    """The dynamics of several runs as those of one tile; cells of a run that ended early leave NaN behind."""
    if not runs:
        return None
    longest = max(runs, key=lambda run: len(run.step_J))
    moments = len(longest.step_J)

    def joined(values: Sequence[Tensor]) -> Tensor:
        padded = [
            torch.cat([value, value.new_full((moments - len(value), *value.shape[1:]), torch.nan)])
            for value in values
        ]
        return torch.cat(padded, 1)

    usual = {name: joined([getattr(run, name) for run in runs]) for name in SHAPED}
    probes = {name: joined([run.probes[name] for run in runs]) for name in longest.probes}
    return Dynamics(longest.step_J, longest.layers, **usual, probes=probes)
