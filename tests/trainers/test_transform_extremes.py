"""What tiny, subnormal, huge, infinite and NaN gradients give, as the docstrings say it."""

from __future__ import annotations

import math

import pytest
import torch

from trainers.transforms import TRANSFORMS, make_transform

torch.set_num_threads(1)

SETTLED = 40  # ordinary steps before the extreme one: past every warm-up but AdaGC's
SHORT = {"adagc": {"warmup_steps": 20}}

# In float32, whose norms underflow below 1e-22 and overflow above 1e19. The poisoned entry is the first.
# tiny, subnormal, huge (both tensors) | infinite: weight, bias, weight one step later | NaN: the same
TABLE = {
    "none": "same same same | same same finite | same same finite",
    "clip_norm": "same same zero | spot zero finite | nan nan finite",
    "clip_value": "same same finite | finite finite finite | hole finite finite",
    "agc": "same same zero | unit_spot finite finite | unit finite finite",
    "zclip": "same same zero | spot zero finite | same same finite",
    "autoclip": "same same zero | spot zero finite | nan nan finite",
    "adagc": "same same zero | spot finite nan | nan finite nan",
    "centralization": "finite finite finite | unit same finite | unit same finite",
    "zscore": "finite finite finite | nan same finite | nan same finite",
    "unit_norm": "finite finite zero | spot finite finite | nan finite finite",
    "autoscale": "finite finite finite | nan same finite | nan same finite",
    "gradient_stabilizer": "same same same | same finite finite | same finite finite",
    "adagn": "same same nan | nan finite nan | nan finite nan",
    "adaclip": "same same finite | same finite finite | same finite finite",
    "stable_spam": "same same nan | nan finite nan | nan finite nan",
    "spam": "same same finite | finite finite finite | hole finite finite",
}
MEANING = {
    "same": lambda x, g: torch.equal(x.nan_to_num(nan=7.0), g.nan_to_num(nan=7.0)),
    "zero": lambda x, g: bool((x == 0).all()),
    "nan": lambda x, g: bool(x.isnan().all()),
    "finite": lambda x, g: bool(x.isfinite().all()),
    "spot": lambda x, g: bool(x[0, 0].isnan()) and int((x == 0).sum()) == x.numel() - 1,
    "hole": lambda x, g: bool(x[0, 0].isnan()) and int(x.isfinite().sum()) == x.numel() - 1,
    "unit": lambda x, g: not bool(x[0].isfinite().any()) and bool(x[1:].isfinite().all()),
    "unit_spot": lambda x, g: (
        bool(x[0, 0].isnan()) and bool((x[0, 1:] == 0).all()) and bool(x[1:].isfinite().all())
    ),
}
PARAMS = {"weight": torch.linspace(-1, 1, 12).view(3, 4), "bias": torch.full((3,), 0.1)}


def gradients(scale: float, generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        key: scale * (0.5 + torch.rand(p.shape, generator=generator)) * (-1) ** torch.arange(p.shape[-1])
        for key, p in PARAMS.items()
    }


def settled(name):
    generator, transform = torch.Generator().manual_seed(0), make_transform(name, **SHORT.get(name, {}))
    state = transform.init(PARAMS)
    for _ in range(SETTLED):
        _, state = transform.update(gradients(1.0, generator), state, PARAMS)
    return generator, transform, state


def test_the_table_covers_all_transforms():
    """A new transform has to say what extreme gradients give."""
    assert TABLE.keys() == TRANSFORMS.keys()


@pytest.mark.parametrize(
    ("column", "scale"), [(0, 1e-30), (1, 1e-40), (2, 1e30)], ids=["tiny", "subnormal", "huge"]
)
@pytest.mark.parametrize("name", TABLE)
def test_tiny_subnormal_and_huge_gradients(name, column, scale):
    """Gradients of 1e-30, 1e-40 and 1e30 in float32 give what the table says, and never raise."""
    generator, transform, state = settled(name)
    grads = gradients(scale, generator)
    out, _ = transform.update(grads, state, PARAMS)
    word = TABLE[name].split(" | ")[0].split()[column]
    assert all(MEANING[word](out[key], g) for key, g in grads.items()), f"not {word}: {out}"


@pytest.mark.parametrize(("column", "poison"), [(1, math.inf), (2, math.nan)], ids=["inf", "nan"])
@pytest.mark.parametrize("name", TABLE)
def test_a_non_finite_entry(name, column, poison):
    """One infinite or NaN entry gives what the table says, here, in the other tensor and a step later."""
    generator, transform, state = settled(name)
    grads = gradients(1.0, generator)
    grads["weight"][0, 0] = poison
    out, state = transform.update(grads, state, PARAMS)
    later, _ = transform.update(gradients(1.0, generator), state, PARAMS)
    weight, bias, after = TABLE[name].split(" | ")[column].split()
    assert MEANING[weight](out["weight"], grads["weight"]), f"weight not {weight}: {out}"
    assert MEANING[bias](out["bias"], grads["bias"]), f"bias not {bias}: {out}"
    assert MEANING[after](later["weight"], grads["weight"]), f"next step not {after}: {later}"


@pytest.mark.parametrize("name", ["adagn", "stable_spam"])
def test_a_norm_below_eps_is_not_blown_up(name):
    """Where float64 keeps a norm of 1e-30, outputs are small too: eps keeps noise from being a step."""
    transform, params = make_transform(name), {k: p.double() for k, p in PARAMS.items()}
    grads = {k: torch.full_like(p, 1e-30) for k, p in params.items()}
    out, _ = transform.update(grads, transform.init(params), params)
    assert all(g.norm() < 1e-20 for g in out.values())


def test_gradient_stabilizer_blows_tiny_norms_up_only_down_to_its_eps():
    """At the first step a norm far above 1e-12 becomes 1, and one far below becomes (R / 1e-12)²."""
    transform, params = make_transform("gradient_stabilizer"), {"weight": torch.ones(4, dtype=torch.float64)}
    for norm, expected in ((1e-6, 1.0), (1e-16, 1e-8)):
        out, _ = transform.update({"weight": params["weight"] * norm / 2}, transform.init(params), params)
        assert out["weight"].norm().item() == pytest.approx(expected, rel=1e-3)


SCALES = [1e-36, 1e-30, 1e-23, 1e-18, 1e-10, 3.0, 1e10, 1e18, 1e30, 1e36]


def spread(scale: float, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"weight": (30, 20), "conv": (4, 3, 3, 3), "bias": (5,)}
    unscaled = {key: 0.1 + torch.randn(shape, generator=generator) for key, shape in shapes.items()}
    return {key: (g.double() * scale).to(dtype) for key, g in unscaled.items()}


@pytest.mark.parametrize("is_fused", [False, True])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("name", "constants"), [("zscore", {"eps": 0.0}), ("autoscale", {})])
def test_a_deviation_whose_square_is_no_number_is_right(name, constants, scale, is_fused):
    """In float32 the deviation of very small and very large gradients is that of float64, alone and fused."""
    transform, wide = make_transform(name, **constants), spread(scale, torch.float64)
    grads = spread(scale, torch.float32)
    wanted, _ = transform.update(wide, transform.init(wide), wide)
    if is_fused:
        # Beside a cell of ordinary size, which is not to be scaled.
        grads = {key: torch.stack([g, spread(3.0, torch.float32)[key]]) for key, g in grads.items()}
        state = torch.vmap(transform.init)(grads)
        out = {key: g[0] for key, g in torch.vmap(transform.update)(grads, state, grads)[0].items()}
    else:
        out, _ = transform.update(grads, transform.init(grads), grads)
    for key, g in wanted.items():
        assert out[key].dtype == torch.float32
        torch.testing.assert_close(out[key].double() / g.abs().max(), g / g.abs().max(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("scale", [1e-14, 1e-6, 1.0, 1e6, 1e14])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_deviation_of_ordinary_size_keeps_its_bits(dtype, scale):
    """Where squares are ordinary numbers, results are bitwise those of the formulas as they are written."""
    grads = spread(scale, dtype)
    out, _ = make_transform("zscore").update(grads, {}, grads)
    for key in ("weight", "conv"):
        centred = grads[key] - grads[key].mean()
        std = torch.linalg.vector_norm(centred) / math.sqrt(centred.numel() - 1)
        assert torch.equal(out[key], centred / (std + 1e-8))
    both, transform = [grads["weight"], grads["conv"]], make_transform("autoscale")
    n = sum(g.numel() for g in both)
    mean = sum(g.sum() for g in both) / n
    std = torch.sqrt(sum(((g - mean) ** 2).sum() for g in both) / (n - 1))
    _, state = transform.update(grads, transform.init(grads), grads)
    assert state["factor"] == ((4 / (torch.log(std).abs() + 1e-8)) ** 2).float()
