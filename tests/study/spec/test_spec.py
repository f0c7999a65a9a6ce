"""Specs: what is right is read whole, what is wrong is said in words, all at once, and changes nothing."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study.errors import UserError
from study.plan.cells import estimate_seconds, make_plan
from study.spec.model import StudySpec
from study.spec.names import KINDS, known
from study.spec.read import marks, parse_spec, read_spec, shipped
from tests.conftest import TINY
from trainers.models import MODELS
from trainers.optimizers import OPTIMIZERS
from trainers.transforms import TRANSFORMS
from trainers.workloads import WORKLOADS


def wrong(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_spec(text)
    return str(caught.value)


def changed(key: str, value: str) -> str:
    lines = [line for line in TINY.strip().splitlines() if not line.startswith(f"{key}:")]
    return "\n".join([*lines, f"{key}: {value}"])


def test_names_are_those_of_the_tables() -> None:
    """What is read without importing torch is what the tables hold."""
    for kind, table in {
        "transform": TRANSFORMS,
        "optimizer": OPTIMIZERS,
        "model": MODELS,
        "workload": WORKLOADS,
    }.items():
        assert known(kind) == tuple(table)


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_specs_are_valid(name: str) -> None:
    """Every shipped spec is read, and is named like its file."""
    assert read_spec(name).name == name


def test_quickstart_is_the_agreed_grid() -> None:
    """Seven transforms, fourteen learning rates, six weight decays; three seeds, and up to twelve."""
    spec = read_spec("quickstart")
    assert len(spec.transforms) == 7
    assert len(spec.lr) == 14
    assert spec.lr[0] == 1e-5
    assert spec.weight_decay == (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
    assert spec.first_seeds == (0, 1, 2)
    assert spec.seeds == tuple(range(12))


def test_canonical_form_writes_defaults_out() -> None:
    """Two texts that mean the same have one canonical form."""
    a, b = parse_spec(TINY), parse_spec(changed("workload", "{name: digits}") + "\nregion: {trained: 0.1}\n")
    assert a.canonical() == b.canonical()
    assert json.loads(a.canonical())["budget"]["schedule"] == "constant"


def test_constants_are_kept_and_named() -> None:
    """A transform with constants has another label than the same with its defaults."""
    spec = parse_spec(changed("transforms", "[clip_norm, {name: clip_norm, max_norm: 0.5}]"))
    assert [choice.technical_name for choice in spec.transforms] == ["clip_norm", "clip_norm(max_norm=0.5)"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("transforms", "[none, clipnorm]", ["transforms[1]", "'clipnorm'", "did you mean 'clip_norm'?"]),
        ("transforms", "[none, none]", ["transforms", "appears twice"]),
        ("transforms", "[]", ["transforms", "empty"]),
        (
            "transforms",
            "[{name: clip_norm, max_nrm: 1}]",
            ["transforms[0]", "max_nrm", "did you mean 'max_norm'?"],
        ),
        ("transforms", "[{name: clip_norm, max_norm: -1}]", ["transforms[0]", "-1", "[0, inf]"]),
        ("transforms", "[{name: clip_norm, max_norm: {a: 1}}]", ["transforms[0]", "wanted a number"]),
        ("transforms", "[{max_norm: 1}]", ["transforms[0]", "without 'name'"]),
        ("lr", "[-0.1]", ["lr[0]", "found -0.1", "greater than 0"]),
        ("lr", "[0]", ["lr[0]", "greater than 0"]),
        ("lr", "[.nan]", ["lr[0]", "finite"]),
        ("lr", "['a']", ["lr[0]", "number"]),
        ("lr", "[true]", ["lr[0]"]),
        ("lr", "[]", ["lr", "empty"]),
        ("lr", "[0.1, 0.1]", ["lr", "0.1 appears twice"]),
        ("lr", "{low: 1e-3, hihg: 1, points_per_decade: 1}", ["lr", "hihg", "did you mean 'high'?"]),
        ("lr", "{low: -1, high: 1, points_per_decade: 1}", ["lr", "positive"]),
        ("lr", "{low: 1e-3, high: 1}", ["lr", "points_per_decade", "missing"]),
        ("weight_decay", "[-1]", ["weight_decay[0]", "found -1"]),
        ("seeds", "0", ["seeds", "at least one"]),
        ("seeds", "7732330496", ["seeds", "at most 1000"]),
        ("lr", "{low: 1e-3, high: 1, points_per_decade: 99999999}", ["lr", "at most 10000 points"]),
        ("lr", "{low: 1e-3, high: 1, points_per_decade: 3000}", ["cells", "at most 2,000,000"]),
        ("seeds", "[1, 1]", ["seeds", "twice"]),
        ("seeds", "many", ["seeds"]),
        ("budget", "{steps: 0, batch_size: 3}", ["budget", "steps is 0"]),
        ("budget", "{steps: 10}", ["budget.batch_size", "missing"]),
        ("budget", "{steps: 10, batch_size: 3, schedul: cosine}", ["budget", "did you mean 'schedule'?"]),
        (
            "budget",
            "{steps: 10, batch_size: 3, schedule: cosinus}",
            ["unknown schedule 'cosinus'", "did you mean 'cosine'?"],
        ),
        ("budget", "{steps: true, batch_size: 3}", ["budget.steps", "found True", "wanted a whole number"]),
        ("budget", "{steps: '4', batch_size: 3}", ["budget.steps", "found '4'", "wanted a whole number"]),
        (
            "budget",
            "{steps: 4, batch_size: 3, spike_steps: [true]}",
            ["budget.spike_steps", "found True", "wanted a whole number"],
        ),
        (
            "budget",
            "{steps: 4, batch_size: 3, loss_scale: true}",
            ["budget.loss_scale", "found True", "wanted a number"],
        ),
        (
            "budget",
            "{steps: 99999999, batch_size: 3}",
            ["budget.steps", "found 99,999,999", "at most 10,000,000"],
        ),
        (
            "budget",
            "{steps: 99999999999999999999, batch_size: 3}",
            ["budget.steps", "found 99999999999999999999", "wanted a whole number"],
        ),
        ("region", "{share: '0.5'}", ["region.share", "found '0.5'", "wanted a number"]),
        ("region", "{least_seeds: true}", ["region.least_seeds", "found True", "wanted a whole number"]),
        ("workers", "{tile: true}", ["workers.tile", "found True", "wanted a whole number"]),
        ("workers", "{gpus_per_worker: .inf}", ["workers", "gpus_per_worker is inf"]),
        ("lr", "{low: 1e-3, high: 1, points_per_decade: true}", ["lr", "points_per_decade a whole number"]),
        ("region", "{trained: 2}", ["region", "trained is 2"]),
        ("region", "[]", ["region: found []; wanted a mapping", "known keys: trained,"]),
        ("transforms", "{factory: 3}", ["transforms.factory: found 3; wanted 'package.module:name'"]),
        ("transforms", "[{factory: 3}]", ["transforms[0].factory: found 3"]),
        ("model", "{name: mlp, hidden: {a: 1}}", ["model: found {'name': 'mlp'", "hidden is {'a': 1}"]),
        ("design", "corners", ["design: found 'corners'; wanted 'grid' or 'edges'"]),
        ("workload", "digit", ["workload", "did you mean 'digits'?"]),
        ("model", "{name: mlp, hiden: [3]}", ["model", "did you mean 'hidden'?"]),
        ("optimizer", "3", ["optimizer", "found 3"]),
        ("name", "No Spaces", ["name", "No Spaces"]),
        ("nmae", "x", ["nmae", "did you mean 'name'?"]),
    ],
)
def test_errors_say_where_what_and_what_instead(key: str, value: str, words: list[str]) -> None:
    """Each error names the key's path, what was found, and what is accepted or nearest."""
    message = wrong(
        changed(key, value) if "3000" not in value else changed(key, value).replace("seeds: 3", "seeds: 100")
    )
    for word in words:
        assert word in message
    assert len(message.splitlines()) == 1


def test_all_errors_come_at_once() -> None:
    """Five mistakes give five lines."""
    text = (
        changed("lr", "[-1]")
        .replace("digits", "digit")
        .replace("unit_norm", "unitnorm")
        .replace("seeds: 3", "seeds: 0")
        + "\nfoo: 1"
    )
    assert len(wrong(text).splitlines()) == 5


def test_floats_that_are_whole_are_whole_numbers() -> None:
    """`steps: 1e2` is a hundred steps."""
    assert parse_spec(TINY.replace("steps: 20", "steps: 1e2")).budget.steps == 100


def test_a_thousand_equal_mistakes_are_twenty_lines() -> None:
    """A list of negative numbers is answered with the first ones and how many more there are."""
    lines = wrong(changed("lr", str([-1.0 - k for k in range(1000)]))).splitlines()
    assert len(lines) == 21
    assert lines[-1].endswith("and 980 more errors")


def test_anchors_may_be_used_and_not_abused() -> None:
    """An anchor stands for its value; anchors for millions of values or for themselves are refused."""
    assert parse_spec(
        TINY.replace("[1e-2, 10]", "&axis [0.1, 1]").replace("[1e-3, 1e-2, 30]", "&other [0.1, 1]") + "\n"
    ).lr == (0.1, 1.0)
    shared = TINY.replace("lr: [1e-3, 1e-2, 30]", "lr: &axis [0.1, 1]").replace(
        "weight_decay: [1e-2, 10]", "weight_decay: *axis"
    )
    assert parse_spec(shared).weight_decay == (0.1, 1.0)
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 30)
    )
    assert "with every anchor written out" in wrong(bomb)
    assert "with every anchor written out" in wrong("lr: &ring [*ring]")
    assert "nested too deeply" in wrong("lr: " + "[" * 5000)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- 1",
        "",
        "just words",
        "name: a\nname: b",
        "\x00",
        "? [a]\n: 1",
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_not_a_spec(text: str) -> None:
    """What is not YAML, is not a mapping, repeats a key or calls for Python is refused in a sentence."""
    assert wrong(text)


def test_no_such_file(tmp_path: Path) -> None:
    """A name that is neither shipped nor a file is answered with the shipped ones and the nearest."""
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        read_spec("quickstat")
    with pytest.raises(UserError, match="not a file"):
        read_spec(str(tmp_path))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "digits",
            "none",
            "adamw",
            "clip_norm",
            "absent:f",
            "math:sqrt",
            "json:dumps",
            "trainers.transforms.clip_norm:clip_norm",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "factory", "low", "high", "steps", "points_per_decade", "max_norm", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from([*StudySpec.model_fields, "other"]), VALUES, max_size=12))
def test_malformed_specs_are_errors_in_words(content: dict[str, object]) -> None:
    """Whatever a spec contains, the answer is a spec or an error message, never another exception."""
    with contextlib.suppress(UserError):
        parse_spec(json.dumps({**json_ready(), **content}))


def json_ready() -> dict[str, object]:
    ready: dict[str, object] = json.loads(parse_spec(TINY).canonical())
    return {key: value for key, value in ready.items() if key in ("name", "lr", "weight_decay", "seeds")} | {
        "budget": {"steps": 1, "batch_size": 1}
    }


def test_defaults_of_methods_stand_in_the_factories() -> None:
    """Every constant of every transform has a default, so a name alone is a complete choice."""
    for factory in TRANSFORMS.values():
        assert all(
            p.default is not inspect.Parameter.empty for p in inspect.signature(factory).parameters.values()
        )


def test_lists_of_constants_are_axes() -> None:
    """A constant that takes no list may be given one: every combination is a choice of its own.

    A list for a constant that takes lists stays a list.
    """
    varied = "{name: autoscale, numerator: [2, 8], exponent: [1, 2]}"
    spec = parse_spec(changed("transforms", f"[none, {varied}, {{name: clip_norm, max_norm: 0.5}}]"))
    assert [choice.technical_name for choice in spec.transforms][1:] == [
        *(f"autoscale(exponent={p}, numerator={n})" for n in (2, 8) for p in (1, 2)),
        "clip_norm(max_norm=0.5)",
    ]
    assert parse_spec(changed("model", "{name: mlp, hidden: [8, 8]}")).model[0].keywords() == {
        "hidden": (8, 8)
    }
    assert [
        choice.technical_name
        for choice in parse_spec(changed("optimizer", "{name: sgd, momentum: [0.0, 0.9]}")).optimizer
    ] == ["sgd(momentum=0.0)", "sgd(momentum=0.9)"]
    assert "numerator is an empty list" in wrong(changed("transforms", "[{name: autoscale, numerator: []}]"))
    assert "numerator is -1" in wrong(changed("transforms", "[{name: autoscale, numerator: [2, -1]}]"))


def test_conditions_are_settings_of_their_own() -> None:
    """Varied keys of the budget multiply the cells.

    Each combination has its own setting, a budget with its value, and a name.
    """
    plain = parse_spec(TINY)
    varied = parse_spec(TINY + "conditions: {loss_scale: [1, 0.01], spike_size: [1, 1e8]}\n")
    assert varied.size == 4 * plain.size
    assert parse_spec(varied.canonical()).conditions == varied.conditions
    plans = [make_plan(spec, {"digits/mlp": "x"}) for spec in (plain, varied)]
    # The budget itself is one of the conditions, and its cells are the same cells.
    assert set(plans[0].keys) < set(plans[1].keys)
    found = [
        (setting.condition.label, setting.condition.budget.loss_scale, setting.condition.budget.spike_size)
        for setting in plans[1].settings.values()
    ]
    assert found == [(f"loss_scale={c:g}, spike_size={k:g}", c, k) for c in (1, 0.01) for k in (1, 1e8)]


def test_a_recipe_may_be_varied() -> None:
    """Warm-up, length and schedule are conditions. Constants go with the schedules that have them."""
    text = (
        changed("budget", "{steps: 20, batch_size: 32, schedule: cosine, floor: 0.1, spike_steps: [10]}")
        + "\n"
    )
    spec = parse_spec(text + "conditions: {warmup: [0, 5], steps: [10, 40], schedule: [constant, linear]}\n")
    kept = parse_spec(spec.canonical())
    assert dict(kept.conditions) == dict(spec.conditions)
    assert {one.budget for one in kept.all_conditions} == {one.budget for one in spec.all_conditions}
    budgets = [condition.budget for condition in spec.all_conditions]
    assert {(one.warmup, one.steps, one.schedule, one.floor) for one in budgets} == {
        (warmup, steps, schedule, floor)
        for warmup in (0, 5)
        for steps in (10, 40)
        for schedule, floor in (("constant", None), ("linear", 0.1))
    }
    assert spec.all_conditions[0].label == "warmup=0, steps=10, schedule=constant"
    # A spike that the shortest training does not reach: the sentence names the condition.
    words = wrong(text.replace("[10]", "[15]") + "conditions: {steps: [10, 40]}\n")
    assert "spike_steps is 15" in words
    assert "condition steps=10" in words


def test_time_is_estimated_per_length() -> None:
    """Cells of twice the steps take twice the time, where nothing is measured yet."""
    found = []
    for value in ("{steps: [20]}", "{steps: [40]}", "{steps: [20, 40]}"):
        plan = make_plan(parse_spec(TINY + f"conditions: {value}\n"), {})
        found.append(estimate_seconds(plan, plan.cells, {}, 1))
    assert found[1] == pytest.approx(2 * found[0])
    assert found[2] == pytest.approx(found[0] + found[1])


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("{los_scale: [1]}", "did you mean 'loss_scale'?"),
        ("{loss_scale: []}", "conditions.loss_scale: the list is empty"),
        ("{loss_scale: [1, 1.0]}", "conditions.loss_scale: 1 appears twice"),
        ("{loss_scale: [a]}", "conditions.loss_scale[0]: found 'a'; wanted a number"),
        ("{loss_scale: [0]}", "conditions: budget: loss_scale is 0"),
        ("{precision: [1]}", "conditions.precision[0]: found 1; wanted a name"),
        ("{precision: [half]}", "unknown precision 'half'"),
        ("{warmup: [0.5]}", "conditions.warmup[0]: found 0.5; wanted a whole number"),
        ("{warmup: [0, 20]}", "warmup is 20; wanted a number in [0, 20) (condition warmup=20)"),
        ("{steps: [50, 0]}", "steps is 0; wanted a number in [1, inf] (condition steps=0)"),
        ("{steps: [100000000]}", "found 100,000,000; wanted at most 10,000,000"),
        ("{schedule: [cosin]}", "did you mean 'cosine'?"),
        ("{schedule: [step]}", "schedule 'step' needs decay_every"),
        ("3", "conditions: found 3; wanted a mapping"),
    ],
)
def test_bad_conditions(value: str, word: str) -> None:
    """A condition that is impossible is refused with its key, what was found and what is wanted."""
    assert word in wrong(changed("conditions", value))
    assert "conditions" in wrong(changed("conditions", value))


def test_constants_of_a_launch_need_no_second_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec that was launched is read without a look at a factory; whatever was not launched is checked."""
    text = changed(
        "transforms", "[none, {name: clip_norm, max_norm: [1, 2.5]}, {name: zscore, eps: 1e-6}]"
    ).replace("model: mlp", "model: {name: mlp, hidden: [8, 8]}")
    spec = parse_spec(text)
    launched = marks(spec.canonical())
    other = [
        text.replace("[1, 2.5]", found) for found in ("[1, 3]", "[1, -2.5]", "[true, 2.5]", "[1, 2.5, two]")
    ]
    expected = [problem_of(one) for one in other]
    assert [problem_of(one, launched) for one in other] == expected
    assert expected[0] is None
    assert all(expected[1:])
    assert marks("[]") == marks("{") == marks(spec.canonical().replace('"transforms"', '"other"')) == set()
    refused = dict.fromkeys(KINDS, lambda *_: pytest.fail("was checked again"))
    monkeypatch.setattr("study.spec.methods.CHECKS", refused)
    monkeypatch.setattr("study.spec.methods.factories", lambda *_: pytest.fail("was loaded"))
    assert parse_spec(text, launched=launched) == spec


def problem_of(text: str, launched: Collection[str] = ()) -> str | None:
    """What is wrong with a spec, or None."""
    try:
        parse_spec(text, launched=launched)
    except UserError as error:
        return str(error)
    return None
