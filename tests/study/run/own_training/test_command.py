"""A cell of a command: its words, its environment, its reports, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.errors import UserError
from study.plan.cells import make_plan
from study.spec.command_template import title_of
from study.spec.read import parse_spec, read_spec
from tests.pages import OF_STUDY, shown_files
from tests.study.run.own_training.making import spec_of, trained

PROGRAM = """
case "$1" in
  plain) printf '{"step": 20, "accuracy": %s}\\n' "$2" >> "$STABILITY_STUDY_REPORTS" ;;
  half) printf '{"step": 20, "accuracy": 0.5}\\n{"step": 20, "acc' >> "$STABILITY_STUDY_REPORTS" ;;
  torn) printf '{"step": 1, "lo\\n{"step": 20, "accuracy": 0.5}\\n' >> "$STABILITY_STUDY_REPORTS" ;;
  nan) printf '{"step": 7, "loss": NaN}\\n' >> "$STABILITY_STUDY_REPORTS"; exit 3 ;;
  says) printf '{"step": 7, "loss": 1}\\n{"diverged": "too far"}\\n' >> "$STABILITY_STUDY_REPORTS"; exit 1 ;;
  huge) printf '{"step": 1, "loss": 1%0400d}\\n' 0 >> "$STABILITY_STUDY_REPORTS" ;;
  deep) printf '%09000d\\n{}\\n' 0 | tr 0 '[' >> "$STABILITY_STUDY_REPORTS" ;;
  folder) mkdir "$STABILITY_STUDY_REPORTS" ;;
  status) exit 4 ;;
  silent) echo "accuracy 0.9" ;;
  hangs) sleep 1000 & sleep 1000 ;;
  told) cp "$STABILITY_STUDY_CELL" told.json; pwd > "$STABILITY_STUDY_DIRECTORY/where"
    cp "$STABILITY_STUDY_DIRECTORY/where" where
    printf '{"note": {"visible": "%s"}}\\n{"accuracy": 1}\\n' "$CUDA_VISIBLE_DEVICES" \
      >> "$STABILITY_STUDY_REPORTS" ;;
esac
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    (folder / "run.sh").write_text(PROGRAM)
    return folder


def command(*words: str, **more: object) -> dict[str, object]:
    return {"command": ["sh", "run.sh", *words], **more}


def test_words_are_filled_in_with_all_digits(folder: Path) -> None:
    """A placeholder is the number itself, and no shell sees it."""
    record = trained(spec_of(folder, command("plain", "{lr}"), lr=[0.1234567890123]))
    assert (record.finished, record.metric_final) == (True, 0.1234567890123)
    assert record.workload == "run.sh"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("torn", 'line 1 of its reports is \'{"step": 1, "lo\'; wanted JSON'),
        ("huge", "wanted a number that a float can hold"),
        ("deep", "line 1 of its reports is"),
        ("folder", "in place of its reports is no file"),
        ("status", "run.sh ended with exit status 4"),
        ("silent", "run.sh reported no accuracy"),
    ],
)
def test_a_command_without_a_score_is_failed(folder: Path, word: str, why: str) -> None:
    """Standard output is no report, and a line that is no JSON is an error where others follow it."""
    record = trained(spec_of(folder, command(word)))
    assert record.failed
    assert why in (record.reason or "")


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (["python", "parts/train.py", "--lr={lr}"], "train.py"),
        (["python", "-m", "mine.train"], "mine.train"),
        (["python", "-c", "import sys\nprint(sys.argv)\n"], "python"),
        (["sh", "-c", "echo " + "x" * 300], "sh"),
    ],
)
def test_a_command_is_called_by_its_file_or_program(words: list[str], title: str) -> None:
    """A program that stands in a word itself is no name for tables and files."""
    assert title_of(words) == title


def test_a_half_written_last_line_is_ignored(folder: Path) -> None:
    """A program that is ended while it writes has reported what stands before."""
    assert trained(spec_of(folder, command("half"))).metric_final == 0.5


@pytest.mark.parametrize(("word", "why"), [("nan", "nonfinite_loss"), ("says", "said: too far")])
def test_a_command_diverges_by_its_reports(folder: Path, word: str, why: str) -> None:
    """A loss that is not finite, or a line that says so, counts whatever the exit status is."""
    record = trained(spec_of(folder, command(word)))
    assert (record.outcome, record.reason, record.diverged_step) == ("diverged", why, 7)


def test_time_that_is_up_ends_all_processes_of_a_command(folder: Path) -> None:
    """A command that hangs is failed, and its children are ended with it."""
    record = trained(spec_of(folder, command("hangs", limit=0.3)))
    assert record.reason == "run.sh was ended after its limit of 0.3 s"


def test_a_command_is_told_of_its_cell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs beside the spec, with the cell as JSON, a folder of its own, and the devices of its worker."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    from study.run.own_training import client

    client.end()  # one that was started before has another environment
    spec = spec_of(folder, command("told"), transforms=[{"name": "clip_norm", "max_norm": 0.5}])
    record = trained(spec)
    client.end()
    told = json.loads((folder / "told.json").read_text())
    assert (told["lr"], told["seed"], told["budget"]["steps"]) == (0.1, 0, 20)
    assert told["transform"] == {"name": "clip_norm", "constants": {"max_norm": 0.5}}
    assert (folder / "where").read_text().strip() == str(folder)
    assert json.loads(record.provenance)["visible"] == "3"


def test_changed_files_are_other_cells(folder: Path) -> None:
    """The files that a command names, and its inputs, are part of its cells' keys; a limit is not."""
    (folder / "data.txt").write_text("one")

    def key(**more: object) -> str:
        return make_plan(spec_of(folder, command("plain", "1", **more)), {}).cells[0].key

    first = key(inputs=["data.txt"])
    assert key(inputs=["data.txt"], limit=5) == first != key()
    (folder / "data.txt").write_text("two")
    second = key(inputs=["data.txt"])
    assert second != first
    assert not any("names no file" in line for line in spec_of(folder, command("plain")).warnings)
    unnamed = spec_of(folder, {"command": ["sh", "-c", "sh {directory}/../run.sh"]})
    assert any("names no file beside the spec" in line for line in unnamed.warnings)
    (folder / "run.sh").write_text(f"{PROGRAM}\n# more\n")
    assert key(inputs=["data.txt"]) not in (first, second)
    (folder / "run.sh").write_text(PROGRAM)
    option = spec_of(folder, command("plain", "--config=data.txt"))
    (folder / "data.txt").write_text("three")
    changed = spec_of(folder, command("plain", "--config=data.txt"))
    assert make_plan(changed, {}).cells[0].key != make_plan(option, {}).cells[0].key


@pytest.mark.parametrize(
    ("workload", "why"),
    [
        ({"command": ["no-such-program", "{lr}"]}, "there is no program 'no-such-program' on PATH"),
        ({"command": ["./run.sh"]}, "is no program that can be run"),
        ({"command": "sh run.sh"}, "wanted a list of words"),
        ({"command": []}, "wanted a list of words"),
        ({"command": ["sh", "{learning_rate}"]}, "unknown placeholder {learning_rate}; known: lr"),
        ({"command": ["sh", "{lr.real}"]}, "a placeholder is a name in braces"),
        ({"command": ["sh", "{lr"]}, "wanted placeholders as {lr}, and {{ and }} for braces"),
        (
            {"command": ["sh", "run.sh"], "inputs": ["gone.txt"]},
            "there is no file 'gone.txt' beside the spec",
        ),
        ({"command": ["sh", "run.sh"], "limit": 0}, "workload.limit: found 0; wanted a number of seconds"),
        ({"command": ["sh", "run.sh"], "limit": 1e9}, "above 0 and at most 1,000,000"),
        ({"command": ["sh", "run.sh"], "metric": "loss"}, "workload.metric: found 'loss'"),
        ({"command": ["sh", "run.sh"], "mtric": "a"}, "unknown key 'mtric' of a command; known: metric"),
        ({"function": "gone:train"}, "there is no module 'gone' beside the spec"),
        ({"function": "mine:absent"}, "module 'mine' has no 'absent'"),
        ({"function": "mine:number"}, "mine:number is 3; wanted a function, `def number(cell):`"),
        ({"function": "mine:nothing"}, "mine:nothing takes no argument; wanted one, the cell"),
        ({"function": "mine"}, "wanted 'package.module:name'"),
        ({"function": "mine:train", "inputs": ["a"]}, "unknown key 'inputs' of a function"),
    ],
)
def test_what_cannot_be_called_is_said_in_one_line(
    folder: Path, workload: dict[str, object], why: str
) -> None:
    """A spec that names what is not there, or is no function, is refused before anything runs."""
    (folder / "mine.py").write_text(
        "raise RuntimeError('it ran')\nnumber = 3\ndef nothing(): pass\ndef train(cell): pass\n"
    )
    with pytest.raises(UserError) as error:
        spec_of(folder, workload)
    (line,) = str(error.value).splitlines()
    assert why in line


def test_what_of_a_budget_the_training_has_to_apply_is_said(folder: Path) -> None:
    """Noise, spikes and precision are the trainers', and a function or a command has its own or none."""
    budget = {"steps": 20, "batch_size": 32, "points": 4, "precision": "float16"}
    more = {"budget": budget, "conditions": {"corruption": [0, 1]}}
    (line,) = (one for one in spec_of(folder, command("plain"), **more).warnings if "by itself" in one)
    assert "apply precision, corruption of the budget" in line
    given = spec_of(folder, command("plain", "{precision}", "{corruption}"), **more)
    assert not any("by itself" in one for one in given.warnings)


def test_what_code_does_not_tell_is_asked_for(folder: Path) -> None:
    """Metric, direction, pairing and the score before training are asked for in words, all at once."""
    text = json.dumps({"workload": {"function": "mine:train"}, "transforms": ["none"]})
    with pytest.raises(UserError) as error:
        parse_spec(text)
    for words in (
        "the name of the score",
        "max where a higher score",
        "the seed decides first weights",
        "the score before",
    ):
        assert words in str(error.value)


def test_labels_of_model_and_optimizer_are_free(folder: Path) -> None:
    """The code owns both: the spec may leave them out, or name them as it likes."""
    plain, named = (
        spec_of(folder, command("plain", "1"), **more)
        for more in ({}, {"model": ["my net", "other"], "optimizer": "mine"})
    )
    assert make_plan(plain, {}).cells[0].workload == "run.sh"
    assert [cell.workload for cell in make_plan(named, {}).cells] == ["run.sh/my net", "run.sh/other"]
    with pytest.raises(UserError, match="leave the key out"):
        spec_of(folder, command("plain", "1"), model={"name": "mlp"})
    with pytest.raises(UserError, match="make a study of each"):
        parse_spec(json.dumps({"workload": [{"command": ["sh"]}, "digits"]}))


def test_the_pages_command_trains_as_its_function_does(tmp_path: Path) -> None:
    """The page's loop has under 25 lines, and its cell has the same numbers as a command."""
    shown = shown_files(*OF_STUDY)
    for name in ("digits_loop.py", "digits_program.py", "loop.yaml", "program.yaml"):
        (tmp_path / name).write_text(shown[name])
    assert len([line for line in shown["digits_loop.py"].splitlines()[1:] if line.strip()]) < 25
    one, other = (
        trained(read_spec(str(tmp_path / name), runs=True), lr=1.0) for name in ("loop.yaml", "program.yaml")
    )
    assert one.finished
    assert one.metric_final is not None
    assert one.metric_final > 0.5  # guessing is 0.1
    assert one.curve == other.curve
