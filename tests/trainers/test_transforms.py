"""Every transform of the table keeps the same promises."""

from __future__ import annotations

import copy
import inspect
import math
import re

import pytest
import torch

from trainers.transforms import TRANSFORMS, make_transform

torch.set_num_threads(1)

SHAPES = {"conv": (4, 3, 2, 2), "weight": (5, 4), "bias": (5,), "gain": ()}
CELLS, STEPS = 5, 30
ROUNDING = 1e-9  # relative, float64: a reduction over a batch may add in another order than one over a cell
SHORT = {  # constants that bring every phase of a method into the first STEPS steps
    "zclip": {"warmup_steps": 5},
    "autoclip": {"history": 12, "percentile": 35.0},
    "adagc": {"warmup_steps": 6},
    "autoscale": {"cap": 8.0},
    "stable_spam": {"reset_interval": 7, "total_steps": 20},
    "spam": {"reset_interval": 10, "settle_steps": 3, "warmup_steps": 4, "threshold": 3.0},
}
STRUCTURE = {("autoclip", "history")}  # constants that decide shapes: plain numbers only
EXTRA = {"autoscale": {"exponent": 1.5}}  # constants whose default is not a number
ALL = sorted(TRANSFORMS)


def numbers(name: str) -> dict[str, float]:
    """The numeric constants of a transform, at values that are not its limits."""
    defaults = {key: p.default for key, p in inspect.signature(TRANSFORMS[name]).parameters.items()}
    plain = {
        key: value
        for key, value in defaults.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return {**plain, **SHORT.get(name, {}), **EXTRA.get(name, {})}


CONSTANTS = [(name, constant) for name in ALL for constant in numbers(name)]
VARIABLE = [pair for pair in CONSTANTS if pair not in STRUCTURE]


def gradients_C(
    dtype: torch.dtype = torch.float64, cells: int = CELLS, steps: int = STEPS
) -> list[dict[str, torch.Tensor]]:
    """Random gradients of all cells, whose scale varies over four decades from step to step."""
    generator = torch.Generator().manual_seed(1)
    scale_TC = 10 ** (4 * torch.rand(steps, cells, generator=generator, dtype=torch.float64) - 2)
    grads_TC = []
    for scale_C in scale_TC:
        grads_C = {}
        for name, shape in SHAPES.items():
            g_C = torch.randn(cells, *shape, generator=generator, dtype=torch.float64)
            grads_C[name] = (g_C * scale_C.view(-1, *[1] * len(shape))).to(dtype)
        grads_TC.append(grads_C)
    return grads_TC


def cell(tensors: dict[str, torch.Tensor], c: int) -> dict[str, torch.Tensor]:
    return {name: t[c] for name, t in tensors.items()}


PARAMS_C = {name: t / 3 for name, t in gradients_C(steps=1)[0].items()}


def run_fused(transform, grads_TC, params_C=PARAMS_C):
    """Outputs of all steps and the last state, all cells in one vmap."""
    state = torch.vmap(transform.init)(params_C)
    out_TC = []
    for grads_C in grads_TC:
        out, state = torch.vmap(transform.update)(grads_C, state, params_C)
        out_TC.append(out)
    return out_TC, state


@pytest.mark.parametrize("name", ALL)
def test_update_is_pure(name):
    """Gradients, state and parameters that go in are unchanged, and the same inputs give the same outputs."""
    transform, params = make_transform(name, **SHORT.get(name, {})), cell(PARAMS_C, 0)
    state = transform.init(params)
    for grads_C in gradients_C():
        grads = cell(grads_C, 0)
        before = copy.deepcopy((grads, state, params))
        out, after = transform.update(grads, state, params)
        again, _ = transform.update(grads, state, params)
        for old, new in zip(before, (grads, state, params), strict=True):
            assert old.keys() == new.keys()
            assert all(torch.equal(old[key], new[key]) for key in old)
        assert all(torch.equal(out[key], again[key]) for key in out)
        state = after


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_dtypes_and_shapes_are_kept(name, dtype):
    """Gradients keep dtype, shape and order, and so does the state, with statistics in at least float32."""
    transform, params = (
        make_transform(name, **SHORT.get(name, {})),
        {k: t[0].to(dtype) for k, t in PARAMS_C.items()},
    )
    state = first = transform.init(params)
    for grads_C in gradients_C(dtype):
        grads = cell(grads_C, 0)
        out, state = transform.update(grads, state, params)
        assert [(k, t.dtype, t.shape) for k, t in out.items()] == [
            (k, t.dtype, t.shape) for k, t in grads.items()
        ]
        assert {k: (t.dtype, t.shape) for k, t in state.items()} == {
            k: (t.dtype, t.shape) for k, t in first.items()
        }
        assert all(t.dtype in (torch.float32, torch.float64) for t in state.values())
        assert all(torch.isfinite(t).all() for t in out.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ALL)
def test_zero_gradients_stay_zero(name, dtype):
    """Zero gradients give zero gradients, at first and after ordinary ones, and the next one is finite."""
    transform, params = (
        make_transform(name, **SHORT.get(name, {})),
        {k: t[0].to(dtype) for k, t in PARAMS_C.items()},
    )
    zeros, state = {k: torch.zeros_like(p) for k, p in params.items()}, transform.init(params)
    ordinary = [cell(g, 0) for g in gradients_C(dtype, steps=12)]
    for grads in [zeros] * 3 + ordinary + [zeros] * 3 + ordinary[:1]:
        out, state = transform.update(grads, state, params)
        assert all(torch.isfinite(t).all() for t in out.values())
        assert grads is not zeros or all((t == 0).all() for t in out.values())


@pytest.mark.parametrize("name", ALL)
def test_vmap_over_cells_equals_a_loop(name):
    """All cells in one vmap give what each cell gives alone."""
    transform, grads_TC = make_transform(name, **SHORT.get(name, {})), gradients_C()
    out_TC, _ = run_fused(transform, grads_TC)
    for c in range(CELLS):
        params = cell(PARAMS_C, c)
        state = transform.init(params)
        for grads_C, out_C in zip(grads_TC, out_TC, strict=True):
            out, state = transform.update(cell(grads_C, c), state, params)
            for key, expected in out.items():
                torch.testing.assert_close(out_C[key][c], expected, rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -1e300])
@pytest.mark.parametrize("name", ALL)
def test_a_cell_does_not_feel_a_diverged_neighbour(name, poison):
    """What a cell gives is bitwise the same when its neighbour's gradients become NaN, infinite or huge."""
    transform, healthy_TC = make_transform(name, **SHORT.get(name, {})), gradients_C()
    sick_TC = copy.deepcopy(healthy_TC)
    for grads_C in sick_TC[8:]:
        grads_C["weight"][2], grads_C["bias"][2, 0] = poison, poison
    expected_TC, expected_state = run_fused(transform, healthy_TC)
    out_TC, state = run_fused(transform, sick_TC)
    others = [c for c in range(CELLS) if c != 2]
    for out, expected in [*zip(out_TC, expected_TC, strict=True), (state, expected_state)]:
        assert all(torch.equal(out[key][others], expected[key][others]) for key in expected)


@pytest.mark.parametrize(("name", "constant"), VARIABLE)
def test_a_constant_per_cell_equals_plain_numbers(name, constant):
    """A constant given as one 0-d tensor per cell, inside vmap, does what the plain number does."""
    value = numbers(name)[constant]
    values_C = torch.tensor([0.8 * value, 0.9 * value, value], dtype=torch.float64)
    base = make_transform(name, **{**SHORT.get(name, {}), constant: value})
    grads_TC, params_C = gradients_C(cells=3), {k: t[:3] for k, t in PARAMS_C.items()}
    state_C = torch.vmap(lambda v, p: base.with_constants(**{constant: v}).init(p))(values_C, params_C)
    plain = [base.with_constants(**{constant: v}) for v in values_C.tolist()]
    states = [method.init(cell(params_C, c)) for c, method in enumerate(plain)]
    for grads_C in grads_TC:
        out_C, state_C = torch.vmap(lambda v, g, s, p: base.with_constants(**{constant: v}).update(g, s, p))(
            values_C, grads_C, state_C, params_C
        )
        for c, method in enumerate(plain):
            out, states[c] = method.update(cell(grads_C, c), states[c], cell(params_C, c))
            for key, expected in out.items():
                torch.testing.assert_close(out_C[key][c], expected, rtol=ROUNDING, atol=0)


@pytest.mark.parametrize("name", ALL)
def test_an_unknown_constant_is_refused(name):
    """A constant that a transform does not have is a TypeError that names it and lists those that exist."""
    known = list(inspect.signature(TRANSFORMS[name]).parameters)
    with pytest.raises(TypeError, match="'no_such_constant'") as error:
        make_transform(name, no_such_constant=1.0)
    assert all(key in str(error.value) for key in known)


@pytest.mark.parametrize("value", [math.nan, -1.0, "much"])
@pytest.mark.parametrize(("name", "constant"), CONSTANTS)
def test_a_constant_out_of_range_is_refused(name, constant, value):
    """A constant that is not a number, or is out of range, is a ValueError that names it."""
    if constant == "exponent" and value == -1.0:
        # Any finite exponent is meant to work.
        assert make_transform(name, exponent=value).constants["exponent"] == value
        return
    with pytest.raises(ValueError, match=rf"{name}: {constant}\b"):
        make_transform(name, **{constant: value})


def test_a_structural_constant_cannot_vary_between_cells():
    """The history of AutoClip is the shape of its state, so a tensor is refused instead of failing later."""
    with pytest.raises(ValueError, match="autoclip: history"):
        make_transform("autoclip", history=torch.tensor(5))


@pytest.mark.parametrize("name", ALL)
def test_docstrings_say_what_the_house_asks_for(name):
    """A factory's docstring has its reference, and an entry for each constant and for what is raised."""
    text, constants = inspect.getdoc(TRANSFORMS[name]), inspect.signature(TRANSFORMS[name]).parameters
    assert "Reference:" in text
    if name != "none":
        assert "Differs from the reference:" in text
    for constant in constants:
        assert re.search(rf"^    {constant}: ", text, re.MULTILINE), f"{constant} is not described"
    assert "Raises:" in text or not numbers(name)
