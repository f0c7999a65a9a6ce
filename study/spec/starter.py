"""A spec to start from: written for the reader's workload and transforms, with a comment at every choice."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.errors import UserError
from study.spec.names import known
from study.spec.read import parse_spec, shipped
from study.spec.user_modules import OwnCode, allowed_packages

TRANSFORMS = ("none", "clip_norm", "autoscale", "gradient_stabilizer")
"""What is compared where the reader does not choose."""


@dataclass(frozen=True)
class Start:
    """What a first study with a workload takes.

    Attributes:
        constants: those that have no default, or mostly need another value, as YAML.
        model, optimizer: that go with it.
        about: what the reader must know or have.
    """

    constants: str = ""
    model: str = "mlp"
    optimizer: str = "adamw"
    about: str = ""


STARTS = {
    "cifar10": Start("root: data, download: true", "resnet20", about="CIFAR-10, fetched once into `data`"),
    "cifar100": Start("root: data, download: true", "resnet20", about="CIFAR-100, fetched once into `data`"),
    "image_folder": Start(
        "folder: images, size: 64, resize: 72",
        "resnet20",
        about="images in images/train/CLASS/* and images/val/CLASS/*",
    ),
    "arrays": Start(
        "file: own.npz",
        about="numpy.savez('own.npz', train_x=…, train_y=…, test_x=…, test_y=…), images or a table",
    ),
    "series": Start(model="dlinear", about="generated series; or file: own.csv, first column date"),
    "text": Start(model="llama", about="a synthetic language; or file: own.txt, a text of your own"),
    "quadratic": Start(model="linear", optimizer="sgd", about="known curvature and gradient noise"),
    "logistic": Start(model="linear", optimizer="sgd", about="the scanned digits; one linear layer alone"),
}
"""One row per workload that needs more than its name."""


def write_starter(
    file: Path, workload: str, model: str | None, optimizer: str | None, chosen: Sequence[str]
) -> str:
    """Write a spec to a new file, and return its text.

    It is one that `study plan` takes, if it takes the code of the reader's own that it names: none runs here.

    Args:
        workload, model, optimizer, chosen: names, `module:name` of the reader's own, or mappings as YAML
            has them in one line; None takes what goes with the workload.

    Raises:
        UserError: the file exists, cannot be written or has no name for a spec, or a name is unknown.
    """
    if file.suffix not in (".yaml", ".yml") or str(file) in shipped():
        raise UserError(f"{file}: wanted the name of a new YAML file, such as {file.with_suffix('.yaml')}")
    text = starter(file, workload, model, optimizer, chosen)
    # As the file will be read that is not there yet: modules are looked for beside it, and none of them runs.
    code = OwnCode(str(file.absolute().parent), allowed_packages())
    parse_spec(text, str(file), code=code)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserError(f"{file}: is there already, and stays as it is; give another name") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be written ({error.strerror}); choose another place") from None
    return text


def starter(
    file: Path, workload: str, model: str | None, optimizer: str | None, chosen: Sequence[str]
) -> str:
    """The text of a spec, named like its file."""
    start = STARTS.get(workload, Start())
    transforms = list(dict.fromkeys(chosen)) or list(TRANSFORMS)
    about = f"# `{workload}`: {start.about}\n" if start.about else ""
    name = re.sub(r"[^a-z0-9._-]+", "-", file.stem.lower()).strip("-._")[:64] or "study"
    baseline = (
        "" if "none" in transforms else "# Most claims compare with the baseline `none`, which is not here.\n"
    )
    listed = "\n".join(f"  - {written(one)}" for one in transforms)
    return f"""\
# What this study is for, in a sentence or two.
# `study plan {file.name}` checks it and says how long it takes; `study launch {file.name}` trains it.
name: {name}  # what is stored goes by it; another workload, model, optimizer or budget needs another name
description: ""

# What is trained. Constants stand beside a name: {{name: mlp, hidden: [64, 64]}}. Of several, in a list, all
# combinations are trained. Code of your own: {{factory: "my_module:my_function"}}.
{wrapped("Workloads", "workload")}
{about}workload: {written(workload, start.constants)}
{wrapped("Models", "model")}
model: {written(model or start.model)}
{wrapped("Optimizers", "optimizer")}
optimizer: {written(optimizer or start.optimizer)}

{wrapped("What is compared", "transform")}
# A list of values makes variants: {{name: clip_norm, max_norm: [0.5, 1]}}.
{baseline}transforms:
{listed}

# Where: every transform at every learning rate and weight decay, with every seed. Of a region that runs out
# of the grid only the least width is known. Values and seeds may be added later; only they are trained then.
lr: {{low: 1e-5, high: 10, points_per_decade: 1}}  # or a list of numbers
weight_decay: [0, 0.001, 0.1]  # or low, high and points_per_decade, as above
seeds: 3  # a verdict needs 3; intervals get narrower with more

# How long. Also: schedule: cosine, warmup: 10, precision: bfloat16, dynamics: 10 (for claims on gradients).
budget: {{steps: 100, batch_size: 32}}
"""


def written(word: str, constants: str = "") -> str:
    """A method as YAML has it.

    Args:
        constants: as YAML, for a method that is given by its name alone.
    """
    if word.startswith("{"):
        return " ".join(word.split())
    # Anything but a plain word is quoted, so that it is refused as an unknown name and nothing else.
    plain = word if re.fullmatch(r"[A-Za-z_]\w*", word) else json.dumps(word)
    if ":" in word:
        return f"{{factory: {plain}}}"
    return f"{{name: {plain}, {constants}}}" if constants else plain


def wrapped(what: str, kind: str) -> str:
    """The names of a kind, as lines of a comment."""
    text = f"{what}: {', '.join(known(kind))}"
    return textwrap.fill(text, 109, initial_indent="# ", subsequent_indent="# ")
