"""Published and derived figures of the transforms are reproduced."""

from __future__ import annotations

import math

import pytest
import torch

from trainers.transforms import make_transform

torch.set_num_threads(1)

CALM = 2000  # steps of constant norm before the spike
AFTER = (0, 1, 5, 10, 50, 500, 1500)  # steps after the spike that the table shows
# norm of the spike: norm that the stabilised gradient has AFTER, to the three figures or two decimals shown
SPIKE_TABLE = {
    3.0: ("1.79", "1.47", "1.06", "1.00", "1.00", "1.00", "1.00"),
    10.0: ("4.36", "2.99", "1.21", "0.97", "0.95", "0.97", "0.99"),
    100.0: ("11.5", "6.99", "1.15", "0.35", "0.29", "0.36", "0.55"),
    1000.0: ("11.8", "7.08", "0.95", "0.10", "0.03", "0.04", "0.07"),
}


def norms_after(transform, norms: list[float]) -> list[float]:
    """Norms that a transform gives to a sequence of gradients with these norms, of one weight tensor."""
    direction = torch.tensor([[0.6, 0.0], [0.0, -0.8]], dtype=torch.float64)
    state, out = transform.init({"w": direction}), []
    for norm in norms:
        grads, state = transform.update({"w": direction * norm}, state, {"w": direction})
        out.append(grads["w"].norm().item())
    return out


@pytest.mark.parametrize("spike", SPIKE_TABLE)
def test_gradient_stabilizer_after_a_spike(spike):
    """A spike after a long calm is amplified, and leaves small steps behind: every figure of the table."""
    out = norms_after(make_transform("gradient_stabilizer"), [1.0] * (CALM - 1) + [spike] + [1.0] * AFTER[-1])
    for after, shown in zip(AFTER, SPIKE_TABLE[spike], strict=True):
        decimals = len(shown.split(".")[1])
        assert f"{out[CALM - 1 + after]:.{decimals}f}" == shown, f"{after} steps after the spike"


@pytest.mark.parametrize(
    ("gamma1", "gamma2", "ceiling", "bound"),
    [
        (0.6, 0.999, 12.65, 15.82),
        (0.7, 0.9, 0.949, 1.406),
        (0.85, 0.99999, 47.4, 90.0),
        (0.5, 0.95, 2.24, 2.61),
    ],
)
@pytest.mark.parametrize("spike", [10.0**k for k in range(1, 9)])
def test_gradient_stabilizer_is_bounded_without_bias_correction(gamma1, gamma2, ceiling, bound, spike):
    """As printed, a spike stays below (1-γ1)/√(1-γ2) + γ1/(κ√(1-γ2)) and every step below ρ̄."""
    root = math.sqrt(1 - gamma2)
    exact_ceiling, exact_bound = (1 - gamma1) / root, (1 - gamma1) / root / math.sqrt(1 - gamma1**2 / gamma2)
    assert exact_ceiling == pytest.approx(ceiling, rel=2e-3)  # three figures are shown
    assert exact_bound == pytest.approx(bound, rel=2e-3)
    calm = 300
    out = norms_after(
        make_transform("gradient_stabilizer", gamma1=gamma1, gamma2=gamma2, bias_correction=False),
        [1.0] * calm + [spike] * 2 + [1.0] * 30,
    )
    kappa = spike / (1 - gamma1**calm)  # the average norm before the spike
    assert out[calm] <= exact_ceiling + gamma1 / (kappa * root) + 1e-9
    assert max(out) <= exact_bound


def test_gradient_stabilizer_at_constant_norm():
    """Without bias correction early steps are up to 14.3 times a unit step; with it they are 1."""
    out = norms_after(make_transform("gradient_stabilizer", bias_correction=False), [0.37] * 1000)
    assert [out[t - 1] for t in (1, 2, 10, 100, 1000)] == pytest.approx(
        [12.65, 14.3, 9.96, 3.24, 1.26], rel=4e-3
    )
    assert norms_after(make_transform("gradient_stabilizer"), [0.37] * 100) == pytest.approx(
        [1.0] * 100, rel=1e-9
    )


@pytest.mark.parametrize(
    ("s", "first", "second"),
    [
        (1e-5, ".347", ".121"),
        (1e-4, ".434", ".189"),
        (1e-3, ".579", ".335"),
        (1e-2, ".869", ".754"),
        (0.1, "1.74", "3.02"),
        (0.5, "5.77", "33"),
        (0.9, "38", "1441"),
    ],
)
def test_autoscale_factors(s, first, second):
    """a(s) for p = 1 and p = 2, to the figures shown."""
    g = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    g = g / g.std() * s
    for exponent, shown in ((1, first), (2, second)):
        transform = make_transform("autoscale", exponent=exponent)
        out, _ = transform.update({"w": g}, transform.init({"w": g}), {"w": g})
        decimals = len(shown.split(".")[1]) if "." in shown else 0
        assert f"{(out['w'] / g).mean():.{decimals}f}".lstrip("0") == shown


@pytest.mark.parametrize(("first", "exponent"), [(3.48e-3, 1), (3.50e-3, 2), (285.0, 2), (287.0, 1)])
def test_autoscale_chooses_its_exponent_at_the_first_step(first, exponent):
    """p is 1 after the first step if and only if |ln s_1| > 4√2, that is s_1 < 3.49e-3 or s_1 > 286."""
    g = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    g, transform = g / g.std(), make_transform("autoscale")
    _, state = transform.update({"w": g * first}, transform.init({"w": g}), {"w": g})
    for s in (0.1, 1e-4, 0.01):
        out, state = transform.update({"w": g * s}, state, {"w": g})
        assert (out["w"] / (g * s)).mean().item() == pytest.approx(
            (4 / abs(math.log(s))) ** exponent, rel=1e-6
        )


@pytest.mark.parametrize("cap", [0.25, 3.0])
def test_autoscale_cap(cap):
    """`cap` is the largest factor, also at the singularity s = 1."""
    g = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    g, transform = g / g.std(), make_transform("autoscale", cap=cap)
    out, _ = transform.update({"w": g}, transform.init({"w": g}), {"w": g})
    assert (out["w"] / g).mean().item() == pytest.approx(cap, rel=1e-12)


def test_shared_count_of_stable_spam_inflates_its_spike_limit():
    """Just after a restart the official counter makes AdaClip's limit some 300 times larger."""
    norms = [1.0] * 1000 + [100.0]
    spikes = {}
    for shared in (False, True):
        transform = make_transform("stable_spam", shared_count=shared)
        w = torch.tensor([1.0, 0.01], dtype=torch.float64)
        state = transform.init({"w": w})
        for norm in norms:
            _, state = transform.update({"w": w * norm}, state, {"w": w})
        spikes[shared] = (state["largest"] / (1 - 0.999 ** state["count"]).item()).item()
    assert spikes[True] / spikes[False] == pytest.approx(316, rel=0.01)  # (1 - 0.999^1001) / (1 - 0.999^2)
