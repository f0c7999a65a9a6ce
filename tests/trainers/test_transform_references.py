"""Transforms equal their references: torch, pytorch_optimizer, or a short transcription."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from pytorch_optimizer import SPAM, AdaGC, StableSPAM
from pytorch_optimizer.optimizer.agc import agc as their_agc
from pytorch_optimizer.optimizer.gradient_centralization import centralize_gradient

from trainers.optimizers.adamw import adamw
from trainers.transforms import make_transform

torch.set_num_threads(1)

# Float64: the same sums, added in another order and carried through 60 steps.
SAME = {
    "rtol": 1e-10,
    "atol": 1e-14,
}
# The global norm of pytorch_optimizer, and so AdaGC's warm-up, is always float32.
FLOAT32_NORM = {
    "rtol": 1e-5,
    "atol": 1e-8,
}
SHAPES = {"conv": (4, 3, 2, 2), "weight": (5, 4), "bias": (5,)}
STEPS = 60
LR = 1e-2


def gradients(steps: int = STEPS, spikes: bool = True) -> list[dict[str, torch.Tensor]]:
    """Random gradients of slowly varying scale, with a spike every 13 steps and one large entry every 7."""
    generator = torch.Generator().manual_seed(3)
    out = []
    for t in range(steps):
        scale = (2 + math.sin(t / 5)) * (50.0 if spikes and t % 13 == 12 else 1.0)
        grads = {
            name: scale * torch.randn(shape, generator=generator, dtype=torch.float64)
            for name, shape in SHAPES.items()
        }
        if spikes and t % 7 == 6:
            grads["bias"][1], grads["weight"][0, 2] = 300.0, -300.0
        out.append(grads)
    return out


def parameters() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {
        name: 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in SHAPES.items()
    }


def transformed(transform, grads_T, params=None) -> list[dict[str, torch.Tensor]]:
    """What the transform makes of a sequence of gradients, at fixed parameters."""
    params = params or parameters()
    state, out_T = transform.init(params), []
    for grads in grads_T:
        out, state = transform.update(grads, state, params)
        out_T.append(out)
    return out_T


def trained(transform, optimizer, grads_T, lr: float = LR) -> list[dict[str, torch.Tensor]]:
    """Parameters after each step of transform and optimizer, as a trainer runs them, signal included."""
    params = parameters()
    memory, state, out_T = transform.init(params), optimizer.init(params), []
    for grads in grads_T:
        out, memory = transform.update(grads, memory, params)
        rate = torch.tensor(lr, dtype=torch.float64)
        if transform.signal is not None:
            asked = transform.signal(memory)
            state, rate = (
                optimizer.restart(state, asked.restart, keep_count=asked.keep_count),
                rate * asked.lr_scale,
            )
            if asked.recount is not None:
                state = optimizer.recount(state, asked.recount)
        params, state = optimizer.update(out, state, params, rate, torch.tensor(0.0, dtype=torch.float64))
        out_T.append(params)
    return out_T


def trained_by(rule_of, grads_T) -> list[dict[str, torch.Tensor]]:
    """Parameters after each step of another library's optimizer."""
    params = {name: torch.nn.Parameter(p) for name, p in parameters().items()}
    rule, out_T = rule_of(list(params.values())), []
    for grads in grads_T:
        for name, p in params.items():
            p.grad = grads[name].clone()
        rule.step()
        out_T.append({name: p.detach().clone() for name, p in params.items()})
    return out_T


def assert_same(found_T, expected_T, tolerance=SAME):
    assert len(found_T) == len(expected_T) > 0
    for t, (found, expected) in enumerate(zip(found_T, expected_T, strict=True)):
        for name in expected:
            torch.testing.assert_close(
                found[name],
                expected[name],
                **tolerance,
                msg=lambda text, at=(t, name): f"step {at[0]}, {at[1]}: {text}",
            )


def by_global_norm(factor_of, grads_T):
    """The transcription of a method that multiplies everything by a factor that the global norm decides."""
    out_T = []
    for grads in grads_T:
        factor = factor_of(math.sqrt(sum(float((g**2).sum()) for g in grads.values())))
        out_T.append(multiplied(grads, factor))
    return out_T


def multiplied(grads, factor):
    return {name: g * factor for name, g in grads.items()}


def by_tensor(update_of, grads_T):
    """The transcription of a method that treats each tensor alone.

    `update_of()` gives a function with memory.
    """
    updates = {name: update_of() for name in SHAPES}
    out_T = []
    for grads in grads_T:
        out_T.append({name: torch.as_tensor(updates[name](g.numpy().copy())) for name, g in grads.items()})
    return out_T


@pytest.mark.parametrize("limit", [0.01, 1.0, 20.0])
@pytest.mark.parametrize(
    ("name", "constant", "rule"),
    [("clip_norm", "max_norm", "clip_grad_norm_"), ("clip_value", "max_value", "clip_grad_value_")],
)
def test_clipping_equals_torch(name, constant, rule, limit):
    """clip_norm and clip_value equal torch.nn.utils."""
    grads_T, expected_T = gradients(), []
    for grads in grads_T:
        params = [torch.nn.Parameter(torch.zeros_like(g)) for g in grads.values()]
        for p, g in zip(params, grads.values(), strict=True):
            p.grad = g.clone()
        getattr(torch.nn.utils, rule)(params, limit)
        expected_T.append(dict(zip(grads, [p.grad for p in params], strict=True)))
    assert_same(transformed(make_transform(name, **{constant: limit}), grads_T), expected_T)


@pytest.mark.parametrize("clip_factor", [0.01, 1.0, 10.0])
def test_agc_equals_pytorch_optimizer(clip_factor):
    """AGC equals pytorch_optimizer's, for tensors of one, two and four dimensions."""
    params, grads_T = parameters(), gradients()
    expected_T = []
    for grads in grads_T:
        expected_T.append(
            {name: their_agc(params[name], g, agc_clip_val=clip_factor) for name, g in grads.items()}
        )
    assert_same(transformed(make_transform("agc", clip_factor=clip_factor), grads_T, params), expected_T)


def test_agc_takes_a_unit_to_be_an_index_of_the_first_dimension_in_three_dimensions_too():
    """As timm, norms are over all dimensions but the first.

    (pytorch_optimizer leaves out the last of three.)
    """
    generator = torch.Generator().manual_seed(5)
    weight, g = torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64).unbind()
    expected = torch.stack(
        [
            row if row.norm() < 0.5 * w.norm() else row * 0.5 * w.norm() / row.norm()
            for row, w in zip(g, weight, strict=True)
        ]
    )
    out, _ = make_transform("agc", clip_factor=0.5).update({"w": g}, {}, {"w": weight})
    torch.testing.assert_close(out["w"], expected, **SAME)


@pytest.mark.parametrize("conv_only", [False, True])
def test_centralization_equals_pytorch_optimizer(conv_only):
    """Gradient centralization equals pytorch_optimizer's."""
    grads_T = gradients()
    expected_T = copy.deepcopy(grads_T)
    for grads in expected_T:
        for g in grads.values():
            centralize_gradient(g, gc_conv_only=conv_only)
    assert_same(transformed(make_transform("centralization", conv_only=conv_only), grads_T), expected_T)


def test_zscore_equals_its_formula():
    """(g - mean) / (unbiased std + eps) of each weight tensor; biases unchanged."""
    expected_T = by_tensor(
        lambda: lambda g: (g - g.mean()) / (g.std(ddof=1) + 1e-8) if g.ndim > 1 else g, gradients()
    )
    assert_same(transformed(make_transform("zscore"), gradients()), expected_T)


@pytest.mark.parametrize("first_scale", [1e-4, 1.0])
def test_autoscale_equals_its_formula(first_scale):
    """a_t = (4 / (|ln s| + 1e-8))^p on the centred weights.

    p = 2 at first, and then 1 if a_1 < 0.5, else 2.
    """
    grads_T = [multiplied(grads, first_scale) for grads in gradients()]
    exponent, expected_T = 2, []
    for t, grads in enumerate(grads_T):
        s = np.concatenate([g.numpy().ravel() for g in grads.values() if g.ndim > 1]).std(ddof=1)
        a = (4 / (abs(math.log(s)) + 1e-8)) ** exponent
        if t == 0:
            exponent = 1 if a < 0.5 else 2
        expected_T.append({name: a * (g - g.mean()) if g.ndim > 1 else g for name, g in grads.items()})
    assert exponent == (1 if first_scale == 1e-4 else 2)
    assert_same(transformed(make_transform("autoscale"), grads_T), expected_T)


@pytest.mark.parametrize("max_grad_norm", [1.0, 22.0, None])
def test_zclip_equals_its_official_rule(max_grad_norm):
    """25 norms in a list; then reciprocal clipping, and averages that move on with the clipped norm."""
    buffer, memory = [], {}

    def factor(norm):
        if len(buffer) < 25:
            buffer.append(norm)
            memory.update(mean=np.mean(buffer), var=np.var(buffer))
            return 1.0 if max_grad_norm is None else min(1.0, max_grad_norm / (norm + 1e-6))
        z = (norm - memory["mean"]) / (math.sqrt(memory["var"]) + 1e-6)
        kept = memory["mean"] + 2.5**2 * math.sqrt(memory["var"]) / z if z > 2.5 else norm
        memory["mean"] = 0.97 * memory["mean"] + 0.03 * kept
        memory["var"] = 0.97 * memory["var"] + 0.03 * (kept - memory["mean"]) ** 2
        limit = kept if max_grad_norm is None else min(kept, max_grad_norm)
        return limit / (norm + 1e-6) if norm > limit else 1.0

    # Norms of 8 to 28; 22 clips some of them, but not what a spike is clipped to.
    grads_T = gradients(spikes=False)
    for t in (30, 31, 45):
        grads_T[t] = {name: 10 * g for name, g in grads_T[t].items()}
    assert_same(
        transformed(make_transform("zclip", max_grad_norm=max_grad_norm), grads_T),
        by_global_norm(factor, grads_T),
    )


@pytest.mark.parametrize("history", [10_000, STEPS, 17, 1])
@pytest.mark.parametrize("percentile", [0.0, 10.0, 37.5, 100.0])
def test_autoclip_equals_numpy_percentile(percentile, history):
    """The limit is numpy.percentile of all norms so far, or of the last ones that fit into the history."""
    norms = []

    def factor(norm):
        norms.append(norm)
        return min(1.0, np.percentile(norms[-history:], percentile) / (norm + 1e-6))

    grads_T = gradients()
    grads_T[20] = grads_T[10]  # equal norms must leave the window one at a time
    assert_same(
        transformed(make_transform("autoclip", percentile=percentile, history=history), grads_T),
        by_global_norm(factor, grads_T),
    )


@pytest.mark.parametrize("bias_correction", [True, False])
def test_gradient_stabilizer_equals_its_official_rule(bias_correction):
    """Per tensor, averages of norm and squared norm, which a zero gradient neither changes nor advances."""

    def update_of(gamma1=0.6, gamma2=0.999, eps=1e-12):
        memory = {"m": 0.0, "v": 0.0, "k": 0}

        def update(g):
            norm = np.linalg.norm(g)
            if norm == 0 or not np.isfinite(norm):
                return g
            memory.update(
                k=memory["k"] + 1,
                m=gamma1 * memory["m"] + (1 - gamma1) * norm,
                v=gamma2 * memory["v"] + (1 - gamma2) * norm**2,
            )
            m = memory["m"] / (1 - gamma1 ** memory["k"]) if bias_correction else memory["m"]
            v = memory["v"] / (1 - gamma2 ** memory["k"]) if bias_correction else memory["v"]
            return g * m / (math.sqrt(v) + eps) / max(norm, eps)

        return update

    grads_T = gradients()
    for t in (0, 5, 6):
        grads_T[t]["bias"] *= 0
    assert_same(
        transformed(make_transform("gradient_stabilizer", bias_correction=bias_correction), grads_T),
        by_tensor(update_of, grads_T),
    )


def spike_shrinker(count, gamma3=0.999):
    """AdaClip of one tensor; `count(t)` is the step that the bias correction believes in."""
    memory = {"t": 0, "T": 0.0}

    def update(g):
        memory["t"] += 1
        largest = abs(g).max()
        memory["T"] = gamma3 * memory["T"] + (1 - gamma3) * largest
        limit = memory["T"] / (1 - gamma3 ** count(memory["t"]))
        return np.where(abs(g) > limit, g / (largest or 1) * limit, g)

    return update


def norm_averager(count, gamma1=0.7, gamma2=0.9, eps=1e-8, c=lambda t: 1.0):
    """AdaGN of one tensor."""
    memory = {"t": 0, "m": 0.0, "v": 0.0}

    def update(g):
        memory["t"] += 1
        k, norm, gamma = count(memory["t"]), np.linalg.norm(g), gamma1 * c(memory["t"])
        memory["m"] = gamma * memory["m"] + (1 - gamma) * norm
        memory["v"] = gamma2 * memory["v"] + (1 - gamma2) * norm**2
        ratio = memory["m"] / (1 - gamma**k) / (math.sqrt(memory["v"] / (1 - gamma2**k)) + eps)
        return g / norm * ratio if norm > 0 else g

    return update


@pytest.mark.parametrize(("name", "rule"), [("adaclip", spike_shrinker), ("adagn", norm_averager)])
def test_adaclip_and_adagn_equal_their_formulas(name, rule):
    """The two halves of Stable-SPAM alone; a zero gradient enters the averages."""
    grads_T = gradients()
    grads_T[9]["bias"] *= 0
    assert_same(transformed(make_transform(name), grads_T), by_tensor(lambda: rule(lambda t: t), grads_T))


@pytest.mark.parametrize("shared_count", [False, True])
@pytest.mark.parametrize("total_steps", [None, 40])
def test_stable_spam_equals_its_official_rule(total_steps, shared_count):
    """AdaClip, then AdaGN with a cosine on gamma1.

    With `shared_count` a reset step sets their counters to 1.
    """

    def count(t, interval=20):
        return t if not shared_count or t <= interval else (t - 1) % interval + 2

    def c(t):
        return (
            1.0
            if total_steps is None
            else 0.5 + 0.5 * (1 + math.cos(math.pi * min(t / (total_steps + 1), 1))) / 2
        )

    def update_of():
        first, second = spike_shrinker(count), norm_averager(count, c=c)
        return lambda g: second(first(g))

    method = make_transform(
        "stable_spam", reset_interval=20, total_steps=total_steps, shared_count=shared_count
    )
    assert_same(transformed(method, gradients()), by_tensor(update_of, gradients()))


def test_stable_spam_with_adamw_trains_as_pytorch_optimizers_does():
    """Transform, signal and AdamW together equal pytorch_optimizer's StableSPAM, across two restarts.

    It counts AdaClip's and AdaGN's steps apart from Adam's, as our default does. Its cosine (`t_max`) is one
    step off the official one, so that is tested against a transcription above.
    """
    expected_T = trained_by(lambda params: StableSPAM(params, lr=LR, update_proj_gap=20), gradients())
    assert_same(trained(make_transform("stable_spam", reset_interval=20), adamw(), gradients()), expected_T)


def official_stable_spam(interval, beta1=0.9, beta2=0.999, eps=1e-8):
    """A transcription of the official step of one tensor; at a restart it steps with the old moments."""
    # What the bias corrections believe in. The official code shares one counter among them.
    k = {"k": 0}
    first, second = spike_shrinker(lambda t: k["k"]), norm_averager(lambda t: k["k"])
    memory = {"t": 0, "m": 0.0, "v": 0.0}

    def step(p, g):
        memory["t"] += 1
        k["k"] += 1
        g = second(first(g))
        m = beta1 * memory["m"] + (1 - beta1) * g
        v = beta2 * memory["v"] + (1 - beta2) * g**2
        memory.update(m=m, v=v)
        if memory["t"] % interval == 0:
            memory.update(m=0.0, v=0.0)
            k["k"] = 1
        root = np.sqrt(v) / math.sqrt(1 - beta2 ** k["k"])
        return p - LR / (1 - beta1 ** k["k"]) * m / (root + eps)

    return step


def trained_officially(interval, grads_T):
    params, out_T = {name: p.numpy() for name, p in parameters().items()}, []
    steps = {name: official_stable_spam(interval) for name in SHAPES}
    for grads in grads_T:
        params = {name: steps[name](p, grads[name].numpy()) for name, p in params.items()}
        out_T.append({name: torch.as_tensor(p) for name, p in params.items()})
    return out_T


@pytest.mark.parametrize("interval", [1, 7, 20])
def test_stable_spam_with_both_switches_trains_as_the_official_code_does(interval):
    """With `shared_count` and `late_restart`, transform, signal and AdamW are the official optimizer."""
    method = make_transform("stable_spam", reset_interval=interval, shared_count=True, late_restart=True)
    assert_same(trained(method, adamw(), gradients()), trained_officially(interval, gradients()))


def test_stable_spam_differs_from_the_official_code_from_the_first_restart_on():
    """Until the first restart the switches change nothing; at it, they change the step by more than 5 %."""
    official_T = trained_officially(20, gradients())
    for switches in ({}, {"shared_count": True}, {"late_restart": True}):
        found_T = trained(make_transform("stable_spam", reset_interval=20, **switches), adamw(), gradients())
        assert_same(found_T[:19], official_T[:19])
        if switches != {"late_restart": True}:
            moved, expected = (T[19]["weight"] - T[18]["weight"] for T in (found_T, official_T))
            assert (moved - expected).norm() > 0.05 * expected.norm()
        assert not torch.allclose(found_T[-1]["weight"], official_T[-1]["weight"], rtol=1e-3)


def test_spam_with_adamw_trains_as_pytorch_optimizers_does():
    """Transform, signal and AdamW together equal pytorch_optimizer's SPAM, across two restarts.

    eps is 0, because SPAM adds it inside the bias correction; no warm-up, because pytorch_optimizer's cosine
    is one step ahead of the official one.
    """
    few = {"threshold": 30, "update_proj_gap": 25, "grad_accu_steps": 5, "warmup_epoch": 0, "eps": 0.0}
    expected_T = trained_by(lambda params: SPAM(params, lr=LR, **few), gradients())
    method = make_transform("spam", threshold=30, reset_interval=25, settle_steps=5, warmup_steps=0)
    assert_same(trained(method, adamw(eps=0.0), gradients()), expected_T)
    unclipped = make_transform("spam", threshold=math.inf, reset_interval=25, settle_steps=5, warmup_steps=0)
    assert not torch.allclose(
        trained(unclipped, adamw(eps=0.0), gradients())[-1]["bias"], expected_T[-1]["bias"]
    )


def test_spam_signals_restarts_and_the_official_warmup():
    """Restarts keep the counter; the lr factor is 1 before the first, and then a cosine from 0.01 to 1."""
    method, params = make_transform("spam", reset_interval=20, warmup_steps=8), parameters()
    state = method.init(params)
    for t, grads in enumerate(gradients(), start=1):
        _, state = method.update(grads, state, params)
        asked, since = method.signal(state), t % 20
        warming = t >= 20 and since < 8
        assert bool(asked.restart) == (since == 0)
        assert asked.keep_count
        expected = 1 - 0.99 * (1 + math.cos(math.pi * since / 9)) / 2 if warming else 1.0
        assert float(asked.lr_scale) == pytest.approx(expected, rel=1e-12)


def test_adagc_with_adamw_trains_as_pytorch_optimizers_does():
    """Transform and AdamW together equal pytorch_optimizer's AdaGC, in its warm-up and after it."""
    expected_T = trained_by(
        lambda params: AdaGC(params, lr=LR, warmup_steps=20, weight_decay=0.0), gradients()
    )
    assert_same(
        trained(make_transform("adagc", warmup_steps=20), adamw(), gradients()), expected_T, FLOAT32_NORM
    )


@pytest.mark.parametrize("warmup_steps", [0, 20])
def test_adagc_equals_its_formula(warmup_steps):
    """Global clipping to 1 at first, then each tensor at 1.05 times the average of its clipped norms."""
    average, expected_T = dict.fromkeys(SHAPES, math.inf), []
    for t, grads in enumerate(gradients(), start=1):
        norms = {name: float(g.norm()) for name, g in grads.items()}
        total, out = math.sqrt(sum(n**2 for n in norms.values())), {}
        for name, g in grads.items():
            if t < warmup_steps or t == 1:
                h = min(1.0, 1.0 / (total + 1e-8))
                average[name] = min(average[name], h * norms[name])
            else:
                h = min(1.0, 1.05 * average[name] / norms[name])
                average[name] = 0.98 * average[name] + 0.02 * h * norms[name]
            out[name] = h * g
        expected_T.append(out)
    assert_same(transformed(make_transform("adagc", warmup_steps=warmup_steps), gradients()), expected_T)
