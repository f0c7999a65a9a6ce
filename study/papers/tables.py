"""What papers printed: tables of results with the recipe behind them, as data.

Add a published table by adding a row of `TABLES`.
"""

from __future__ import annotations

from dataclasses import dataclass

from study.claims.baselines import MAINTAINED

EXAMPLES = {"cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000)}
"""Images for training and for evaluation, by the workload that reads them; papers count in epochs."""
USES = {"label_smoothing": "label smoothing", "cutmix_probability": "cutmix"}
"""Constants of workloads that recipes name, and what sentences call them."""


@dataclass(frozen=True)
class Recipe:
    """How a paper trained, as far as it says so.

    Attributes:
        images: the data, by a name of `EXAMPLES`. An `arrays` file or an `image_folder` of that name holds
            them, too.
        lr, weight_decay: the one point that was trained.
        decay_epochs, decay_factor: lr is multiplied by the factor every so many epochs.
        uses: constants of the workload, by a name of `USES`, that are not 0. The paper does not give their
            values.
    """

    images: str
    optimizer: str
    lr: float
    weight_decay: float
    epochs: float
    batch_size: int
    schedule: str
    decay_epochs: float | None = None
    decay_factor: float | None = None
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """One printed number.

    Attributes:
        method: as the paper calls it.
        transform: the one of this project, with its default constants.
    """

    model: str
    method: str
    transform: str
    value: float


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        source: authors, title, number. title: which table.
        metric: as this project calls it. unit: of the metric.
        decimals: to which the numbers were rounded.
        seeds: behind each number; None where the paper does not say.
        unknown: what the paper leaves open, and what this project takes instead.
        margin: scores that differ by no more than this are the same for most purposes [unit of the metric].
    """

    id: str
    source: str
    title: str
    metric: str
    unit: str
    decimals: int
    seeds: int | None
    recipe: Recipe
    unknown: tuple[str, ...]
    rows: tuple[Published, ...]
    margin: float


def by_method(
    models: tuple[str, ...], printed: dict[tuple[str, str], tuple[float, ...]]
) -> tuple[Published, ...]:
    """Rows from a table whose lines are methods, (paper's name, transform), and whose columns are models."""
    rows = []
    for k, model in enumerate(models):
        rows += [Published(model, *names, values[k]) for names, values in printed.items()]
    return tuple(rows)


TABLES: tuple[PublishedTable, ...] = (
    PublishedTable(
        id="autoscale-table-1",
        source='Yun, "Gradient Autoscaled Normalization", arXiv:2509.03677, 2025',
        title="Table 1: test accuracy on CIFAR-100",
        metric="accuracy",
        unit="fraction of the test images",
        decimals=4,
        seeds=None,
        recipe=Recipe(
            images="cifar100",
            optimizer="adamw",
            lr=1e-3,
            weight_decay=5e-5,
            epochs=200,
            batch_size=256,
            schedule="step",
            decay_epochs=30,
            decay_factor=0.75,
            uses=("label_smoothing", "cutmix_probability"),
        ),
        unknown=(
            "how many seeds are behind a number",
            "whether it is the last epoch's or the best one's: both are judged",
            "label smoothing's value, CutMix's alpha and probability, crops and mirror images: "
            "the study's spec says what it takes",
            "the networks' widths and shortcuts",
            "how gradient normalization, made for several tasks, is used on one: unit_norm stands for it",
        ),
        rows=by_method(
            ("resnet20", "resnet56", "vgg16_bn"),
            # The paper's lines are methods and its columns models, copied as they are printed there.
            {
                ("AdamW", "none"): (0.5932, 0.7001, 0.7454),
                ("Gradient normalization", "unit_norm"): (0.5958, 0.7050, 0.7418),
                ("Gradient centralization", "centralization"): (0.6072, 0.6973, 0.7382),
                ("ZNorm", "zscore"): (0.5953, 0.6858, 0.7391),
                ("Gradient Autoscaled Normalization", "autoscale"): (0.6134, 0.7129, 0.7454),
            },
        ),
        # What a claim calls maintained accuracy is the same accuracy here, too.
        margin=MAINTAINED,
    ),
)
"""Every table that `study table` knows."""
