"""Malformed specs by the thousand through the command line.

Each must be an error in words with exit 2, and leave nothing behind. `python -m tests.tools.malformed 1000 0`
runs a thousand of seed 0, and prints the counts and each case that was not refused well.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from study.cli import main
from study.home import Home

PATIENCE = 10.0
"""Most seconds of processor time that a refusal may take."""
LONGEST = 700
"""Most characters of a line of a message."""

GOOD: dict[str, Any] = {
    "name": "tiny",
    "workload": "digits",
    "model": {"name": "mlp", "hidden": [8]},
    "optimizer": {"name": "adamw", "eps": 1e-8},
    "transforms": ["none", {"name": "clip_norm", "max_norm": 0.5}],
    "lr": {"low": 1e-3, "high": 1e-1, "points_per_decade": 1},
    "weight_decay": [0.01],
    "seeds": 1,
    "region": {"trained": 0.1, "least_seeds": 3},
    "workers": {"tile": 4, "retries": 1},
    "claims": [],
    "budget": {"steps": 2, "batch_size": 8, "schedule": "cosine"},
}
OWN = """
import torch
from study.claims import Rule
from trainers import Transform, Workload

def good(factor=1.0):
    return Transform(lambda params: {}, lambda grads, state, params: (grads, state))

def raises(factor=1.0):
    raise KeyError("lost")

def number(factor=1.0):
    return 3.5

def nothing():
    pass

def needs(factor):
    return good()

def each(change):
    def update(grads, state, params):
        return {k: change(g) for k, g in grads.items()}, state

    return Transform(lambda params: {}, update)

def looks():
    return each(lambda g: g if g.sum().item() > 0 else -g)

def reshapes():
    return each(lambda g: g.sum())

def forgets():
    return Transform(lambda params: {}, lambda grads, state, params: ({}, state))

def in_place():
    return each(lambda g: g.mul_(2))

def no_workload(model, model_name):
    return {"x": 1}

def lost_workload(model, model_name):
    parts = dict(train_x=1, train_y=2, eval_x=3, eval_y=4, loss=None, score=None)
    more = dict(metric_name="m", higher_is_better=True, chance=0.5)
    return Workload(name="w", build=lambda: model((2,), 2), **parts, **more)

def first(out, y):
    return out[:, 0]

def share(out, y):
    return (out.argmax(-1) == y).float().mean()

def workload(model, x, score=first, metric_name="m", higher_is_better=True):
    y, loss = torch.zeros(32, dtype=torch.int64), torch.nn.functional.cross_entropy
    build = lambda: model((2,), 2)
    return Workload("w", build, x, y, x, y, loss, score, metric_name, higher_is_better, 0.5)

def flat_workload(model, model_name):
    return workload(model, torch.randn(32, 2), score=share)

def nan_workload(model, model_name):
    return workload(model, torch.randn(32, 2) * torch.nan)

def loss_workload(model, model_name):
    return workload(model, torch.randn(32, 2), metric_name="loss", higher_is_better=False)

def array_workload(model, model_name):
    return workload(model, torch.randn(32, 2).numpy(), higher_is_better=False)

def no_arguments():
    return None

def no_model(shape, outputs):
    return "net"

def trains(cell):
    return {"m": 1.0}

async def waits(cell):
    pass

constant = 3
no_rule = lambda evidence, own: None
bad_rule = Rule("a sentence", "a source", "none", "not a function")
wide_rule = Rule("a sentence", "a source", "none", no_rule, ("seed",))
"""
FILES = {
    "own.py": OWN,
    "raising.py": "1 / 0\n",
    "ending.py": "import sys\nsys.exit(0)\n",
    "broken.py": "def f(:\n",
    "borrowing.py": "import functools\nfrom yaml import unsafe_load\nmade = functools.partial(unsafe_load)\n",
    "lacking.py": "import no_such_library_at_all\n",
}


def case(change: Callable[[dict[str, Any], random.Random], None]) -> Callable[[random.Random], bytes]:
    """A spec that is right but for one change."""

    def content(rng: random.Random) -> bytes:
        spec = copy.deepcopy(GOOD)
        change(spec, rng)
        return (json.dumps(spec) if rng.random() < 0.5 else yaml.safe_dump(spec, sort_keys=False)).encode()

    return content


def text(write: Callable[[random.Random], str | bytes]) -> Callable[[random.Random], bytes]:
    """A file that is not even a mapping of plain values."""

    def content(rng: random.Random) -> bytes:
        found = write(rng)
        return found if isinstance(found, bytes) else found.encode()

    return content


def _set(path: str, values: Callable[[random.Random], list[Any]]) -> Callable[[random.Random], bytes]:
    """One key, or one of several, given one of some values."""

    def change(spec: dict[str, Any], rng: random.Random) -> None:
        *above, key = rng.choice(path.split()).split(".")
        place = spec
        for part in above:
            place = place[part]
        place[key] = rng.choice(values(rng))

    return case(change)


def misspelt(word: str, rng: random.Random) -> str:
    k = rng.randrange(len(word))
    return rng.choice(
        [
            word[:k] + word[k + 1 :] + "q",
            word[:k] + word[k] * 2 + word[k:] + "x",
            word + "z",
            word.upper(),
            f" {word} .",
            word.replace("e", "3") + "0",
        ]
    )


def _misspelt_key(spec: dict[str, Any], rng: random.Random) -> None:
    places = [
        spec,
        spec["budget"],
        spec["region"],
        spec["workers"],
        spec["lr"],
        spec["model"],
        spec["optimizer"],
        spec["transforms"][1],
    ]
    place = rng.choice(places)
    key = rng.choice(list(place))
    place[misspelt(key, rng)] = place.pop(key)


def _missing_key(spec: dict[str, Any], rng: random.Random) -> None:
    place, keys = rng.choice(
        [
            (
                spec,
                [
                    "name",
                    "workload",
                    "model",
                    "optimizer",
                    "transforms",
                    "lr",
                    "weight_decay",
                    "seeds",
                    "budget",
                ],
            ),
            (spec["budget"], ["steps", "batch_size"]),
            (spec["lr"], list(spec["lr"])),
        ]
    )
    del place[rng.choice(keys)]


def _misspelt_name(spec: dict[str, Any], rng: random.Random) -> None:
    kind = rng.choice(["workload", "model", "optimizer", "transforms", "schedule", "precision"])
    if kind in ("schedule", "precision"):
        spec["budget"][kind] = misspelt(rng.choice(["constant", "cosine", "float16"]), rng)
    else:
        spec[kind] = rng.choice(
            [misspelt("digits", rng), [misspelt("adamw", rng)], {"name": misspelt("mlp", rng)}]
        )


def _twice(rng: random.Random) -> str:
    lines = yaml.safe_dump(GOOD, sort_keys=False, default_flow_style=False).splitlines()
    top = [line for line in lines if line[0].isalpha()]
    key = rng.choice(top).split(":")[0]
    return "\n".join([*lines, f"{key}: {json.dumps(GOOD[key])}"])


def _deep(rng: random.Random) -> str:
    # PyYAML recurses, and Python's own limit is near a thousand calls.
    depth, opening, closing = rng.choice([100, 2_000, 40_000]), *rng.choice(["[]", "{}"])
    inner = f"{opening}a: " if opening == "{" else opening
    return (
        rng.choice(["workload", "name", "lr", "budget", "nothing"])
        + ": "
        + inner * depth
        + rng.choice(["1", ""])
        + closing * depth
    )


def _tagged(rng: random.Random) -> str:
    tags = [
        "!!python/object/apply:os.system ['touch pwned']",
        "!!python/name:os.system ''",
        "!!python/object/new:os.system [true]",
        "!!python/tuple [1, 2]",
        "!!bool maybe",
    ]
    tags += [
        "!!int x",
        "!!float x",
        "!!timestamp x",
        "!own 3",
        "!!binary '%'",
        "!!null 3",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!timestamp 2020-01-01",
        "2020-01-01",
        "!!binary aGFsbG8=",
    ]
    spec = copy.deepcopy(GOOD)
    key = rng.choice(["workload", "model", "lr", "seeds", "budget", "transforms"])
    spec[key] = "PLACE"
    return yaml.safe_dump(spec).replace("PLACE", rng.choice(tags))


def _bomb(rng: random.Random) -> str:
    width, depth = rng.randint(5, 12), rng.randint(8, 30)
    lines = ["a0: &a0 [x, x, x]"] + [
        f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * width)}]" for k in range(1, depth)
    ]
    ring = [
        "workload: &ring [*ring]",
        "workload: &ring {name: *ring}",
        "budget: &ring {steps: [*ring]}",
        "transforms: *nowhere",
        "lr: {<<: *a}",
    ]
    spec = yaml.safe_dump(GOOD)
    return rng.choice(
        ["\n".join([*lines, f"lr: *a{depth - 1}"]), "\n".join([*lines, spec]), rng.choice(ring)]
    )


def _garbage(rng: random.Random) -> bytes:
    good = json.dumps(GOOD)
    return rng.choice(
        [
            rng.randbytes(rng.randint(1, 3000)),
            good.encode("utf-16"),
            good.encode("utf-32"),
            ("description: caf\xe9\n" + good).encode("latin-1"),
            good.encode()[: rng.randint(1, len(good) - 1)],
            good.encode() + b"\xef\xbb\xbf",
            good.encode() + b"\x00" * rng.randint(1, 9),
            b"\x7fELF" + rng.randbytes(100),
            b"\x89PNG\r\n\x1a\n" + rng.randbytes(100),
            good.encode()[:-1] + b"\xc3",
            b"",
            b"\n\n# nothing\n",
            b"---\na: 1\n---\nb: 2\n",
            good.encode() + b"\n---\n" + good.encode(),
        ]
    )


def _syntax(rng: random.Random) -> str:
    line = yaml.safe_dump(GOOD, sort_keys=False)
    return rng.choice(
        [
            "- a\n- b",
            "just words",
            "3",
            "a: [",
            "a: 'b",
            "\ta: 1",
            "a: b: c",
            "? [a]\n: 1",
            "%YAML 9.9\n---\na: 1",
            "a: &b",
            "{a, b",
            "null: 1",
            "true",
            '"a',
            line.replace(":", "", 1),
            line + "\n  x",
            "\x07",
            "name: \x1b[31mred",
            'name: "\\ud800"',
            '"\\ud800": 1',
            '"\\x1b[2J": 1',
            line.replace("steps: 2", "steps: 1:30"),
            line.replace("steps: 2", "steps: !!int 1:30"),
            line.replace("seeds: 1", "seeds: 2020-01-01"),
            line.replace("seeds: 1", f"seeds: {'7' * 400}"),
            *(f'{line}description: "{text}"' for text in ("\\ud800", "\\x00", "\\x1b[2J", "\\uffff")),
            "[1, 2]: 3",
        ]
    )


def _long(spec: dict[str, Any], rng: random.Random) -> None:
    word = rng.choice(["x", "clip_norm", "é", "🙂", "a:", "1"]) * rng.randint(200, 9_000)
    key = rng.choice(
        [
            "name",
            "workload",
            "transforms",
            "unknown",
            "budget",
            "constant",
            "factory",
            "claims",
            "lr",
            "seeds",
        ]
    )
    if key == "unknown":
        spec[word] = 1
    elif key == "budget":
        spec["budget"][rng.choice([word, "schedule"])] = word
    elif key == "constant":
        spec["transforms"][1][word] = word
    elif key == "factory":
        spec["transforms"] = [{"factory": word}]
    else:
        spec[key] = [word] if rng.random() < 0.5 and key != "name" else word


def _large(rng: random.Random) -> str:
    spec = copy.deepcopy(GOOD)
    kind = rng.choice(["lr", "seeds", "transforms", "file", "cells", "negative"])
    if kind == "file":
        return json.dumps(spec) + "\n#" + "x" * 300_000
    if kind == "cells":
        spec |= {
            "lr": {"low": 1e-9, "high": 1, "points_per_decade": 900},
            "weight_decay": {"low": 1e-9, "high": 1, "points_per_decade": 900},
            "seeds": 1000,
        }
    else:
        spec["lr" if kind == "negative" else kind] = {
            "lr": [0.5],
            "seeds": [3],
            "transforms": ["none"],
            "negative": [-1.0],
        }[kind] * rng.randint(2_000, 20_000)
    return json.dumps(spec)


WRONG = [
    None,
    True,
    "",
    "words",
    [],
    {},
    [[]],
    [None],
    {"a": 1},
    {"name": None},
    {"name": ["none"]},
    [True],
    -3,
    "4",
]
HUGE = [10**19, -(10**19), 10**400, 1e308 * 10, -1e300]

NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
FACTORIES = [
    "absent:f",
    "own:absent",
    "own:halve",
    "own:constant",
    "own:raises",
    "own:number",
    "own:nothing",
    "own:needs",
    "own",
    ":f",
    "own:",
    "own:f:g",
    "own f",
    "../own:good",
    "own.py:good",
    "os.path:sep",
]
FACTORIES += [
    "raising:f",
    "ending:f",
    "broken:f",
    "lacking:f",
    "own.inner:f",
    "math:sqrt",
    "builtins:print",
    "__main__:x",
    "trainers:absent",
    "1own:f",
    "own:1f",
    "import:f",
    "yaml:unsafe_load",
    "numpy:array",
    "trainers.transforms.clip_norm:clip_norm",
    "borrowing:unsafe_load",
    "borrowing:made",
    "own:torch",
    "é:ö",
    "a" * 99 + ":b",
    "own:\n",
]


ASKED = {"metric": "m", "direction": "max", "untrained": 0.5, "paired": True}
"""What a spec tells of training of the user's own, all of it right."""
PROGRAMS = [
    *WRONG,
    *([[]], [[3]], [""], [None], ["python", 3], "python own.py", ["python", "a\0b"], ["./own.py"], ["/"]),
    *(["no-such-program-at-all"], ["../absent/run.sh", "{lr}"], ["python", "own.py", "x" * 5_000, "{lr"]),
    *(["python", one] for one in ("{lr", "lr}", "{}", "{0}", "{lr.real}", "{lr[0]}", "{lr!r}", "{lr:>9}")),
    *(["python", one] for one in ("{rate}", "{Lr}", "{lr }", "{__class__}", "{max_normm}", "{é}", "{{{lr}")),
]
"""Commands of which each is wrong."""


def _own_training(spec: dict[str, Any], rng: random.Random) -> None:
    """A function or a command of the user's own, wrong in one thing."""
    for key in ("model", "optimizer"):
        del spec[key]
    function = {"function": "own:trains", **ASKED}
    command = {"command": ["python", "own.py", "--lr={lr}"], **ASKED}
    right = rng.choice([function, command])
    one = dict(right)
    kind = rng.choice(["function", "command", "missing", "value", "unknown", "beside", "label", "inputs"])
    if kind == "function":
        # Functions of one argument are right as far as a text shows.
        names = [name for name in FACTORIES if name not in ("own:number", "own:raises", "own:needs")]
        one = function | {
            "function": rng.choice([*names, *WRONG, "own:constant", "own:nothing", "own:waits"])
        }
    elif kind == "command":
        one = command | {"command": rng.choice(PROGRAMS)}
    elif kind == "missing":
        for key in rng.sample(sorted(ASKED), rng.randint(1, 4)):
            del one[key]
    elif kind == "value":
        wrong = {
            "metric": [*WRONG[:3], 3, "loss", "step", "a\nb", "x" * 61, "a/b"],
            "direction": [*WRONG, "maximum", "Min", 1],
            "untrained": [value for value in WRONG if value != -3] + NOT_FINITE,
            "paired": ["yes", 1, 0, None, [], "true"],
            "untrained_loss": [True, "x", "reported", [], *NOT_FINITE],
            "limit": [0, -1, True, "60", None, [], 1e9, *NOT_FINITE],
        }
        key = rng.choice(sorted(wrong))
        one[key] = rng.choice(wrong[key])
    elif kind == "unknown":
        key = rng.choice(["metrics", "higher", "name", "factory", "paired ", "", "__class__", "x" * 900])
        one[key] = rng.choice(WRONG)
    elif kind == "inputs":
        one = command | {
            "inputs": rng.choice(["own.py", 3, [3], [""], ["absent.txt"], [["own.py"]], ["../x"]])
        }
    elif kind == "label":
        # Hidden sizes and constants would be ignored without a word.
        labels = [{"name": "mlp"}, [], "", " x", "x" * 41, "a\nb", 3, None, ["net", "net"], [["net"]]]
        spec[rng.choice(["model", "optimizer"])] = rng.choice(labels)
    spec["workload"] = [one, rng.choice(["digits", {"name": "digits"}, right])] if kind == "beside" else one


WORKLOADS = ["no_workload", "lost_workload", "flat_workload", "nan_workload", "loss_workload"]
WORKLOADS += ["array_workload", "no_arguments"]


def _factory(spec: dict[str, Any], rng: random.Random) -> None:
    key = rng.choice(["transforms", "optimizer", "model", "workload"])
    choice = rng.choice(
        [
            {"factory": rng.choice(FACTORIES)},
            {"factory": rng.choice(WRONG)},
            {"factory": "own:good", "name": "none"},
            {"factory": "own:good", rng.choice(["factr", "x", "shape"]): 1},
            {"factory": "own:good", "factor": rng.choice([{"a": 1}, [{}]])},
            "own:good",
        ]
    )
    spec[key] = rng.choice([choice, [choice]])


def _late(spec: dict[str, Any], rng: random.Random) -> None:
    """What only shows when workloads are loaded and the user's code runs."""
    key, value = rng.choice(
        [
            ("transforms", [{"factory": f"own:{rng.choice(['looks', 'reshapes', 'forgets', 'in_place'])}"}]),
            ("workload", {"factory": f"own:{rng.choice(WORKLOADS)}"}),
            ("model", {"factory": "own:no_model"}),
            ("budget", {"steps": 2, "batch_size": 5_000}),
            (
                "model",
                {"name": "mlp", "hidden": rng.choice([[-5], "abc", 3, [0.5], ["a"], [None], [[3]], [True]])},
            ),
            ("model", {"name": "convnet", "channels": rng.choice([[-5], "abc", 3, [0.5], [10**30]])}),
            (
                "workload",
                {
                    "name": "synthetic",
                    rng.choice(["examples", "classes", "shape"]): rng.choice([-1, "x", [0], 0.5]),
                },
            ),
            ("optimizer", {"name": "sgd", "momentum": rng.choice([2, "x", True, [0.5, 2]])}),
        ]
    )
    spec[key] = value


KINDS: dict[str, Callable[[random.Random], bytes]] = {
    "wrong type": _set("workload model optimizer transforms lr weight_decay", lambda rng: [*WRONG, -2.5]),
    "wrong type of a name": _set(
        "name", lambda rng: [None, True, "", "No Spaces", [], {}, 3, "../x", ".", "a/b", "x" * 65, "ä"]
    ),
    "wrong type of seeds": _set(
        "seeds",
        lambda rng: [
            None,
            True,
            "",
            "3",
            [],
            {},
            0,
            -1,
            0.5,
            [0.5],
            [True],
            ["1"],
            [None],
            [-1],
            [1, 1],
            10**6,
        ],
    ),
    "wrong type of a section": _set("budget region workers", lambda rng: [None, True, "x", 3, [3], [{}]]),
    "wrong type of a number": _set(
        "budget.steps budget.batch_size budget.warmup budget.points budget.accumulation budget.dynamics "
        "budget.loss_scale region.trained region.least_seeds workers.retries workers.cpus_per_worker",
        lambda rng: [True, False, "4", "x", "", [], [1], {}, {"a": 1}, None, float("nan")],
    ),
    "wrong type of a point": _set(
        "lr.low lr.high lr.points_per_decade", lambda rng: [True, "4", "x", None, [], {}]
    ),
    "negative": _set(
        "budget.steps budget.batch_size budget.points budget.warmup lr.low lr.points_per_decade "
        "workers.tile workers.retries region.trained",
        lambda rng: [-1, -(10**6), -0.5],
    ),
    "out of range": _set("region.trained region.share region.confidence", lambda rng: [1.5, 2, 100]),
    "not finite": _set(
        "lr lr.low lr.high weight_decay budget.steps budget.loss_scale budget.spike_size "
        "budget.explosion_factor region.share workers.gpus_per_worker seeds",
        lambda rng: NOT_FINITE,
    ),
    "not finite in a list": _set(
        "lr weight_decay seeds budget.spike_steps", lambda rng: [[number] for number in NOT_FINITE]
    ),
    "huge": _set(
        "budget.steps budget.batch_size budget.warmup budget.accumulation lr.low lr.points_per_decade "
        "seeds region.least_seeds workers.tile workers.retries",
        lambda rng: HUGE,
    ),
    "constants": _set(
        "transforms",
        lambda rng: (
            [
                [{"name": "clip_norm", "max_norm": value}]
                for value in [True, "x", [1, "x"], [1, 1], [], {}, None, -1, float("nan"), [[]]]
            ]
            + [[{"name": "none", "x": 1}], [{"name": "clip_norm", "max_norm": list(range(1, 5_000))}]]
            + [
                [
                    {
                        "name": "spam",
                        "threshold": [*range(300)],
                        "settle_steps": [*range(300)],
                        "warmup_steps": [*range(300)],
                    }
                ]
            ]
        ),
    ),
    "conditions": _set(
        "conditions",
        lambda rng: [
            *(
                [
                    {key: value}
                    for key in ("loss_scale", "spike_size", "spike_probability", "corruption")
                    for value in (
                        True,
                        "1",
                        [True],
                        [],
                        ["x"],
                        [None],
                        [[]],
                        {},
                        [1, 1],
                        [10**400],
                        -1,
                        [float("nan")],
                    )
                ]
            ),
            *(
                {rng.choice(["loss_scal", "step", "lr", "x" * 500, ""]): [1]},
                {"precision": ["float31"]},
                {"precision": 3},
                {"precision": ["float32"] * 2},
                None,
                True,
                [],
                3,
                "loss_scale",
            ),
            {
                key: [k / 300 for k in range(1, 300)]
                for key in ("loss_scale", "spike_size", "spike_probability", "corruption")
            },
            {"loss_scale": [1 + k % 9_000 for k in range(20_000)]},
        ],
    ),
    "empty list": _set("workload model optimizer transforms lr weight_decay seeds", lambda rng: [[]]),
    "twins": _set(
        "workload model optimizer transforms lr weight_decay seeds",
        lambda rng: [
            ["none", "none"],
            [1, 1],
            [0.5, 0.5],
            ["digits", "digits"],
            [{"name": "mlp"}, "mlp", "mlp"],
        ],
    ),
    "missing key": case(_missing_key),
    "misspelt key": case(_misspelt_key),
    "misspelt name": case(_misspelt_name),
    "unknown key": case(
        lambda spec, rng: spec.update(
            {rng.choice(["foo", "", "lr ", "Name", "__class__", "1", "a.b", "[0]"]): rng.choice(WRONG)}
        )
    ),
    "key twice": text(_twice),
    "deep": text(_deep),
    "tag": text(_tagged),
    "anchors": text(_bomb),
    "garbage": text(_garbage),
    "syntax": text(_syntax),
    "long words": case(_long),
    "large": text(_large),
    "factory": case(_factory),
    "late": case(_late),
    "own training": case(_own_training),
    "claims": _set(
        "claims",
        lambda rng: [
            *FACTORIES,
            "own:no_rule",
            "own:bad_rule",
            "own:wide_rule",
            "own:good",
            ["own:absent"],
            [3],
            {},
            3,
            True,
            None,
            ["own:bad_rule", "own:bad_rule"],
            [["own:good"]],
        ],
    ),
}


class Accepted(BaseException):
    """A malformed spec came so far that something would have been written."""


def cases(n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """n malformed specs and their kinds, of all kinds in turn; the same for the same seed."""
    rng, names = random.Random(seed), list(KINDS)
    for k in range(n):
        yield names[k % len(names)], KINDS[names[k % len(names)]](rng)


def verdict(content: bytes, folder: Path) -> tuple[str, str]:
    """What `study launch` makes of a spec, in a word, and what it printed. Only `refused` is right.

    The first step that writes raises `Accepted`; all before it is the command itself.
    """
    spec, home = folder / "spec.yaml", folder / "home"
    spec.write_bytes(content)
    before = sorted(folder.rglob("*"))
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    code: object = None
    # Processor time and not the clock's: a refusal must not fail because other tests run beside it.
    started = time.process_time()
    arguments = ["study", "launch", spec.name, "--home", str(home), "--here"]
    with (
        mock.patch.object(Home, "prepare", side_effect=Accepted),
        mock.patch.object(sys, "argv", arguments),
        contextlib.redirect_stderr(printed),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
        except Accepted:
            return "accepted", ""
        except Exception as error:
            return "crashed", f"{type(error).__name__}: {error}"
    words = printed.buffer.getvalue().decode()  # type: ignore[attr-defined]
    if home.exists() or sorted(folder.rglob("*")) != before:
        return "wrote", words
    if time.process_time() - started > PATIENCE:
        return "slow", words
    lines = words.strip().split("\n")
    clear = words.startswith("error ") and len(words) > len("error spec.yaml: ")
    if (
        code != 2
        or not clear
        or "Traceback" in words
        or max(map(len, lines)) > LONGEST
        or not all(line.isprintable() for line in lines)
    ):
        return "unclear", words
    return "refused", words


def run(n: int, seed: int, show: Callable[[str], None] | None = None) -> dict[str, int]:
    """Counts of verdicts over n malformed specs; all of them must be `refused`."""
    counts: Counter[str] = Counter(
        dict.fromkeys(("refused", "accepted", "crashed", "wrote", "slow", "unclear"), 0)
    )
    back = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, source in FILES.items():
            (folder / name).write_text(source)
        os.chdir(folder)
        try:
            for kind, content in cases(n, seed):
                found, words = verdict(content, folder)
                counts[found] += 1
                if show and found != "refused":
                    show(f"{found} ({kind}): {content[:300]!r}\n    {words[:600]}")
        finally:
            os.chdir(back)
    return dict(counts)


if __name__ == "__main__":
    print(run(int(sys.argv[1]), int(sys.argv[2]), print))
