"""A transform at an ordinary optimizer equals the serial trainer, can be removed, and is saved with it."""

from __future__ import annotations

import gc
import io
import warnings
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

import trainers
from trainers import (
    OPTIMIZERS,
    Budget,
    Optimizer,
    Transform,
    Workload,
    attach,
    make_optimizer,
    make_transform,
    make_workload,
    train_serial,
)
from trainers.attachment import KEY, MOMENTS, Attachment
from trainers.attachment.moments import COUNTS
from trainers.optimizers.lion import Lion
from trainers.optimizers.prodigy import Prodigy
from trainers.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from trainers.transforms.base import Signal, State, Tensors
from trainers.workloads.base import batches

STEPS, BATCH, SEED = 12, 32, 3
LR = {
    "sgd": 0.1,
    "adam": 1e-3,
    "adamw": 1e-3,
    "rmsprop": 1e-4,
    "lion": 1e-4,
    "muon": 1e-3,
    "schedule_free_adamw": 1e-3,
    "prodigy": 1.0,
    "adam_mini": 1e-3,
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def spiky(keep_count: bool = True) -> Transform:
    """Invented: adds half of the last gradient, restarts every fifth step and halves lr at every third."""

    def init(params: Tensors) -> State:
        return {
            "step": torch.zeros((), dtype=torch.float64),
            **{f"last.{name}": torch.zeros_like(p) for name, p in params.items()},
        }

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        out = {name: g + 0.5 * state[f"last.{name}"] for name, g in grads.items()}
        return out, {"step": state["step"] + 1, **{f"last.{name}": g for name, g in grads.items()}}

    def signal(state: State) -> Signal:
        return Signal(state["step"] % 5 == 0, torch.where(state["step"] % 3 == 0, 0.5, 1.0), keep_count)

    return Transform(init, update, "spiky", signal=signal)


def echo() -> Transform:
    """Invented: momentum whose answer is its own state, the same tensor."""

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        out = {name: 0.5 * state[name] + g for name, g in grads.items()}
        return out, out

    return Transform(lambda params: {name: torch.zeros_like(p) for name, p in params.items()}, update, "echo")


TRANSFORMS = {
    "clip_norm": lambda: make_transform("clip_norm", max_norm=0.1),
    "gradient_stabilizer": lambda: make_transform("gradient_stabilizer"),
    "autoscale": lambda: make_transform("autoscale"),
    "late restart": lambda: make_transform("stable_spam", reset_interval=5, late_restart=True),
    "spiky": spiky,
    "spiky, count restarted": lambda: spiky(keep_count=False),
    "echo": echo,
}


@cache
def digits() -> Workload:
    return make_workload("digits", "mlp")


class Loop:
    """A user's own loop: a plain module, `torch.optim` and a scheduler."""

    def __init__(
        self, optimizer: Optimizer, name: str, budget: Budget, weight_decay: float = 0.1, **options: Any
    ) -> None:
        self.model = digits().initial_model(SEED).double()
        self.rule = optimizer.reference(self.model.named_parameters(), LR[name], weight_decay)
        self.scheduler = optim.lr_scheduler.LambdaLR(self.rule, budget.lr_factor)
        self.indices = batches(len(digits().train_x), BATCH, SEED)

    def run(self, steps: int, set_to_none: bool = True) -> list[float]:
        losses = []
        for index_B in islice(self.indices, steps):
            loss = digits().loss(self.model(digits().train_x[index_B].double()), digits().train_y[index_B])
            losses.append(loss.item())
            self.rule.zero_grad(set_to_none)
            loss.backward()
            self.rule.step()
            self.scheduler.step()
        return losses


def budget() -> Budget:
    return Budget(STEPS, BATCH, schedule="cosine", warmup=2, points=STEPS, precision="float64")


@pytest.mark.parametrize("transform", list(TRANSFORMS))
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_equals_the_serial_trainer(name: str, transform: str) -> None:
    """Losses of a user's loop are bitwise those of `train_serial`, with scheduler, restarts and scaled lr."""
    optimizer = make_optimizer(name, **({"momentum": 0.9} if name in ("sgd", "rmsprop") else {}))
    cell = {
        "lr_C": torch.tensor([LR[name]], dtype=torch.float64),
        "weight_decay_C": torch.tensor([0.1], dtype=torch.float64),
        "seed": SEED,
    }
    wanted = train_serial(digits(), TRANSFORMS[transform](), optimizer, budget(), **cell).loss_KC[1:, 0]
    loop = Loop(optimizer, name, budget())
    attach(loop.rule, TRANSFORMS[transform]())
    assert loop.run(STEPS) == wanted.tolist()


@pytest.mark.parametrize("transform", list(TRANSFORMS))
def test_resume_is_bitwise(transform: str) -> None:
    """Saved, loaded with `weights_only` and continued, a run gives the losses of one that never stopped."""
    through = Loop(make_optimizer("adamw"), "adamw", budget())
    attach(through.rule, TRANSFORMS[transform]())
    wanted = through.run(STEPS)

    first = Loop(make_optimizer("adamw"), "adamw", budget())
    attach(first.rule, TRANSFORMS[transform]())
    first.run(7)
    file = io.BytesIO()
    torch.save(
        {
            "model": first.model.state_dict(),
            "optimizer": first.rule.state_dict(),
            "scheduler": first.scheduler.state_dict(),
        },
        file,
    )
    first.run(3)  # what was saved does not change behind its back
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    second = Loop(make_optimizer("adamw"), "adamw", budget())
    attach(second.rule, TRANSFORMS[transform]())
    second.model.load_state_dict(saved["model"])
    second.rule.load_state_dict(saved["optimizer"])
    second.scheduler.load_state_dict(saved["scheduler"])
    list(islice(second.indices, 7))
    assert second.run(STEPS - 7) == wanted[7:]


def test_a_handle_keeps_its_own_state() -> None:
    """`state_dict` of a handle, loaded into another, is what travels in the optimizer's."""
    loop, again = (Loop(make_optimizer("sgd"), "sgd", budget()) for _ in range(2))
    handle = attach(loop.rule, echo())
    loop.run(4)
    other = attach(again.rule, echo())
    other.load_state_dict(handle.state_dict())
    assert other.names == handle.names
    assert all(torch.equal(t, (other.state or {})[key]) for key, t in (handle.state or {}).items())
    *_, rule, another = pair(make_transform("clip_norm"))
    with pytest.raises(ValueError, match="of transform 'echo'; wanted transform 'clip_norm'"):
        another.load_state_dict(handle.state_dict())
    del again, rule
    gc.collect()
    with pytest.raises(ValueError, match="the optimizer of this handle is gone"):
        other.load_state_dict(handle.state_dict())


def test_state_dict_in_memory_resumes_too() -> None:
    """A state_dict that was never written to a file is a snapshot of the transform's state as well."""
    loop, again = (Loop(make_optimizer("sgd"), "sgd", budget()) for _ in range(2))
    attach(loop.rule, echo())
    loop.run(4)
    saved, weights = loop.rule.state_dict(), {key: t.clone() for key, t in loop.model.state_dict().items()}
    rates = loop.scheduler.state_dict()
    wanted = loop.run(4)
    attach(again.rule, echo())
    again.model.load_state_dict(weights)
    again.rule.load_state_dict(saved)
    again.scheduler.load_state_dict(rates)
    list(islice(again.indices, 4))
    assert again.run(4) == wanted


@pytest.mark.parametrize("transform", ["spiky", "echo", "gradient_stabilizer"])
def test_gradients_zeroed_in_place_do_not_reach_the_state(transform: str) -> None:
    """`zero_grad(set_to_none=False)`, which writes into gradients, gives the same losses."""
    ways = []
    for set_to_none in (True, False):
        loop = Loop(make_optimizer("adamw"), "adamw", budget())
        attach(loop.rule, TRANSFORMS[transform]())
        ways.append(loop.run(6, set_to_none))
    assert ways[0] == ways[1]


def test_removal() -> None:
    """After `remove`, steps and state_dict are plain, and another transform can be attached.

    Twice is no error.
    """
    plain, loop = (Loop(make_optimizer("sgd"), "sgd", budget()) for _ in range(2))
    handle = attach(loop.rule, spiky())
    assert KEY in loop.rule.state_dict()
    handle.remove()
    handle.remove()
    assert loop.run(5) == plain.run(5)
    assert set(loop.rule.state_dict()) == {"state", "param_groups"}
    loop.rule.load_state_dict(plain.rule.state_dict())
    attach(loop.rule, echo()).remove()


def test_scheduler_sees_its_own_lr() -> None:
    """A scaled step leaves the group's lr as it was, the very object, also when the step raises."""

    class Fails(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            raise RuntimeError("out of memory")

    p = nn.Parameter(torch.ones(2))
    halved = Transform(
        lambda params: {},
        lambda grads, state, params: (grads, state),
        "halved",
        signal=lambda state: Signal(torch.tensor(False), torch.tensor(0.5)),
    )
    for kind in (optim.SGD, Fails):
        rule = kind([p], lr=0.8)
        attach(rule, halved)
        for _ in range(2):
            p.grad = torch.ones(2)
            if kind is Fails:
                with pytest.raises(RuntimeError, match="out of memory"):
                    rule.step()
                assert rule.param_groups[0]["lr"] == 0.4  # not 0.2 at the second try
            else:
                before = p.detach().clone()
                rule.step()
                torch.testing.assert_close(before - p.detach(), torch.full((2,), 0.4))
                assert rule.param_groups[0]["lr"] == 0.8


def test_groups_are_one_set_named_in_order() -> None:
    """Two groups with lr of their own are transformed together, under names `group.index`."""
    seen: list[list[str]] = []

    def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
        seen.append(list(grads))
        assert {name: p.shape for name, p in params.items()} == {name: g.shape for name, g in grads.items()}
        return make_transform("clip_norm", max_norm=1.0).update(grads, state, params)

    p, q, r = (nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (2, 3, 4))
    rule = optim.SGD([{"params": [p, q], "lr": 1.0}, {"params": [r], "lr": 0.1}])
    attach(rule, Transform(lambda params: {}, update))
    for t in (p, q, r):
        t.grad = torch.ones_like(t)
    rule.step()
    assert seen == [["0.0", "0.1", "1.0"]]
    factor = 1 / (3 + 1e-6)
    torch.testing.assert_close(p.detach(), torch.full((2,), -factor, dtype=torch.float64))
    torch.testing.assert_close(r.detach(), torch.full((4,), -0.1 * factor, dtype=torch.float64))


def pair(transform: Transform) -> tuple[nn.Parameter, nn.Parameter, optim.Optimizer, Attachment]:
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2, 2))
    rule = optim.SGD([p, q], lr=0.1)
    return p, q, rule, attach(rule, transform)


def test_parameters_without_gradient_are_left_out() -> None:
    """A parameter without a gradient is left out and keeps its value.

    A step without any gradient does nothing.
    """
    p, q, rule, handle = pair(echo())
    rule.step()
    assert handle.state is None
    p.grad = torch.ones(2)
    rule.step()
    assert handle.names == ["0.0"]
    assert list(handle.state or {}) == ["0.0"]
    assert q.grad is None
    assert torch.equal(q.detach(), torch.ones(2, 2))


def test_a_gradient_that_comes_later_starts_the_state_afresh() -> None:
    """When other parameters than before have gradients, the state starts afresh, with a warning."""
    p, q, rule, handle = pair(echo())
    p.grad = torch.ones(2)
    rule.step()
    p.grad, q.grad = torch.ones(2), torch.ones(2, 2)
    with pytest.warns(UserWarning, match=r"'echo': now have a gradient: 0\.1; its state starts afresh"):
        rule.step()
    assert handle.names == ["0.0", "0.1"]
    assert torch.equal(p.grad, torch.ones(2))  # not 1.5: what was remembered of p is gone too
    p.grad, q.grad = None, torch.ones(2, 2)
    with pytest.warns(UserWarning, match=r"no longer have a gradient: 0\.0"):
        rule.step()


@pytest.mark.filterwarnings("error")
def test_a_transform_that_remembers_nothing_takes_any_set() -> None:
    """Without state there is nothing to start afresh, and no warning."""
    p, q, rule, handle = pair(make_transform("clip_norm"))
    for with_p, with_q in ((True, False), (True, True), (False, True)):
        p.grad = torch.ones(2) if with_p else None
        q.grad = torch.ones(2, 2) if with_q else None
        rule.step()
    assert handle.state == {}


SWITCHES: dict[type[optim.Optimizer], dict[str, Any]] = {
    optim.SGD: {"momentum": 0.9},
    optim.RMSprop: {"momentum": 0.9, "centered": True},
    optim.Adam: {"amsgrad": True},
    optim.AdamW: {"amsgrad": True},
}


WEIGHTS = {ScheduleFreeAdamW: {"z"}, Prodigy: {"first", "sum"}}
"""What is remembered of weights and distances: no moments, and a restart leaves it."""


@pytest.mark.parametrize("keep_count", [True, False])
@pytest.mark.parametrize("kind", list(MOMENTS), ids=lambda kind: kind.__name__)
def test_restart_forgets_every_moment(kind: type[optim.Optimizer], keep_count: bool) -> None:
    """The declared keys are all that is kept of gradients; a restart makes the next step a first one."""

    def settings(params: list[nn.Parameter]) -> optim.Optimizer:
        # An input layer, a hidden one and an output layer: Muon treats the hidden one alone.
        named = list(zip("abc", params, strict=True))
        return kind(named, lr=0.1, **SWITCHES.get(kind, {}))

    def restarting(count: int) -> Transform:
        def update(grads: Tensors, state: State, params: Tensors) -> tuple[Tensors, State]:
            return grads, {"step": state["step"] + 1}

        return Transform(
            lambda params: {"step": torch.zeros(())},
            update,
            signal=lambda state: Signal(state["step"] == count, torch.tensor(1.0), keep_count),
        )

    params = [nn.Parameter(torch.linspace(1, 2, 6).view(2, 3) + k) for k in range(3)]
    rule = settings(params)
    attach(rule, restarting(4))
    for step in range(3):
        for p in params:
            p.grad = torch.full((2, 3), 1.0 + step)
        rule.step()
    kept = {key for p in params for key, t in rule.state[p].items() if isinstance(t, Tensor)} - set(COUNTS)
    assert kept - WEIGHTS.get(kind, set()) == set(MOMENTS[kind])
    fresh = [nn.Parameter(p.detach().clone()) for p in params]
    for p in (*params, *fresh):
        p.grad = torch.linspace(-1, 1, 6).view(2, 3)
    rule.step()
    settings(fresh).step()
    counts = kind not in (optim.SGD, optim.RMSprop, optim.Adadelta, optim.Muon, Lion)
    if kind not in WEIGHTS and not (keep_count and counts):
        torch.testing.assert_close(params, fresh, rtol=0, atol=0)
    for p in params:
        assert "step" not in rule.state[p] or float(rule.state[p]["step"]) == (4 if keep_count else 1)


def test_moments_agree_with_the_optimizers() -> None:
    """What the serial trainer restarts is what `attach` restarts."""
    for name, constants in (
        ("sgd", {"momentum": 0.9}),
        ("adam", {}),
        ("adamw", {}),
        ("rmsprop", {"momentum": 0.9, "centered": True}),
        ("lion", {}),
        ("muon", {}),
        ("schedule_free_adamw", {}),
        ("prodigy", {}),
        ("adam_mini", {}),
    ):
        optimizer = make_optimizer(name, **constants)
        declared = MOMENTS[type(optimizer.reference([("bias", nn.Parameter(torch.zeros(1)))], 0.1, 0.0))]
        assert set(declared) - {"max_exp_avg_sq"} == set(optimizer.moments.values())


def test_attach_is_a_function_however_it_is_imported() -> None:
    """No module takes the place of the name `trainers.attach`."""
    assert trainers.attach is attach
    assert callable(trainers.attach)


def test_a_handle_taken_for_the_optimizer_says_what_to_do() -> None:
    """`optimizer = attach(optimizer, …)` is an easy slip; a name of neither is Python's ordinary error."""
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    handle: Any = attach(optimizer, make_transform("none"))
    for name in ("zero_grad", "step", "param_groups"):
        with pytest.raises(AttributeError, match=f"no optimizer and has no '{name}'; call `attach"):
            getattr(handle, name)
    with pytest.raises(AttributeError, match="'Attachment' object has no attribute 'nothing'"):
        _ = handle.nothing


def test_one_optimizer_takes_one_transform() -> None:
    """A second transform is refused until the first is removed. Other optimizers are not concerned."""
    *_, rule, handle = pair(echo())
    with pytest.raises(ValueError, match=r"already has transform 'echo'.*remove\(\)"):
        attach(rule, echo())
    handle.remove()
    attach(rule, make_transform("clip_norm"))
    pair(echo())


def test_sparse_gradients_are_refused() -> None:
    """The message names the parameter and its layer's switch."""
    layer = nn.Embedding(4, 2, sparse=True)
    rule = optim.SGD(layer.parameters(), lr=0.1)
    attach(rule, make_transform("clip_norm"))
    layer(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match=r"parameter 0\.0 is sparse_coo; wanted a dense one.*sparse=True"):
        rule.step()


def test_scaled_gradients_are_refused() -> None:
    """An optimizer that unscales inside of its step would hand scaled gradients to the transform."""
    p, _, rule, _ = pair(echo())
    p.grad, rule.grad_scale = torch.ones(2), torch.tensor(1024.0)
    with pytest.raises(ValueError, match=r"scaler\.unscale_"):
        rule.step()


def test_a_signal_needs_declared_moments() -> None:
    """An optimizer without a row in the table is refused at once, a subclass of one with a row is not."""

    class Mine(optim.Adam):
        pass

    p = nn.Parameter(torch.ones(1))
    attach(Mine([p]), spiky())
    attach(optim.Adagrad([p]), echo())
    with pytest.raises(ValueError, match=r"moments of Adagrad are not declared.*MOMENTS\[Adagrad\]"):
        attach(optim.Adagrad([p]), spiky())
    MOMENTS[optim.Adagrad] = ("sum",)
    try:
        attach(optim.Adagrad([p]), spiky())
    finally:
        del MOMENTS[optim.Adagrad]


def test_loading_what_does_not_fit() -> None:
    """A state that is absent, or of another transform, other parameters or other shapes is refused."""
    p, _, rule, _ = pair(echo())
    p.grad = torch.ones(2)
    rule.step()
    saved = rule.state_dict()
    *_, other, _ = pair(make_transform("clip_norm"))
    with pytest.raises(ValueError, match=r"of transform 'echo'; wanted transform 'clip_norm'"):
        other.load_state_dict(saved)
    with pytest.raises(ValueError, match=r"no 'gradient_transform'.*before attach\(\)"):
        rule.load_state_dict({key: value for key, value in saved.items() if key != KEY})
    with pytest.raises(ValueError, match=r"belongs to parameters 3\.0"):
        rule.load_state_dict({**saved, KEY: {**saved[KEY], "names": ["3.0"]}})
    with pytest.raises(ValueError, match=r"has shapes \{'0\.0': \(7,\)\}; wanted \{'0\.0': \(2,\)\}"):
        rule.load_state_dict({**saved, KEY: {**saved[KEY], "state": {"0.0": torch.zeros(7)}}})
    rule.load_state_dict(saved)


def test_a_load_that_the_optimizer_refuses_changes_nothing() -> None:
    """When the groups do not fit, names and state stay what they were."""
    p, _, rule, handle = pair(echo())
    p.grad = torch.ones(2)
    rule.step()
    before = handle.state
    saved = rule.state_dict()
    saved["param_groups"] = []
    saved[KEY] = {**saved[KEY], "state": {"0.0": torch.zeros(2)}}
    with pytest.raises(ValueError, match="parameter groups"):
        rule.load_state_dict(saved)
    assert handle.state is before


def test_a_state_made_with_other_constants_is_told() -> None:
    """The warning names each constant that differs, then and now. 100 and 100.0 are equal."""

    def stepped(**constants: Any) -> optim.Optimizer:
        p, _, rule, _ = pair(make_transform("stable_spam", **constants))
        p.grad = torch.ones(2)
        rule.step()
        return rule

    saved = stepped(gamma1=0.5, reset_interval=100).state_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stepped(gamma1=torch.tensor(0.5), reset_interval=100.0).load_state_dict(saved)
        # saved before constants were
        stepped().load_state_dict({**saved, KEY: {k: v for k, v in saved[KEY].items() if k != "constants"}})
    told = r"'stable_spam' was made with gamma1 = 0\.5 \(now 0\.7\), reset_interval = 100 \(now 1000\); it"
    with pytest.warns(UserWarning, match=told):
        stepped().load_state_dict(saved)
