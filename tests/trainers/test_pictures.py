"""Archives, array files and folders of images are read whole, or refused in words that help."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch

from study.run.dry_run import check_workload
from study.spec.build import workload_of
from tests.conftest import TINY
from trainers import (
    Budget,
    Workload,
    feed,
    make_optimizer,
    make_transform,
    make_workload,
    train_fused,
    train_serial,
)
from trainers.vision import vision
from trainers.workloads.pixels import DATA, place, statistics, subset

RANDOM = np.random.default_rng(0)
CELLS: dict[str, Any] = {
    "lr_C": torch.tensor([1e-3, 1e-2], dtype=torch.float64),
    "weight_decay_C": torch.tensor([0.1, 0.0], dtype=torch.float64),
    "seed": 0,
}
RELATIVE = 1e-9
"""Float64 rounding, amplified by a few steps of training."""


def noise(n: int, side: int = 32) -> np.ndarray:
    return RANDOM.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def assert_trains(workload: Workload) -> None:
    """Two cells, fused as alone."""
    parts = (
        workload,
        make_transform("none"),
        make_optimizer("adamw"),
        Budget(steps=2, batch_size=4, points=1, precision="float64"),
    )
    torch.testing.assert_close(
        train_fused(*parts, **CELLS).loss_KC, train_serial(*parts, **CELLS).loss_KC, rtol=RELATIVE, atol=0
    )


class Archive:
    """A tiny archive in the format of CIFAR's, and its checksums in torchvision in place of the true ones."""

    def __init__(self, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self.root, self.kind = name, folder / "root", getattr(vision().datasets, name.upper())
        self.labels = "labels" if name == "cifar10" else "fine_labels"
        files, built = [*self.kind.train_list, *self.kind.test_list], folder / "built" / self.kind.base_folder
        built.mkdir(parents=True)
        self.images, self.classes = noise(6 * len(files)), RANDOM.integers(0, 10, 6 * len(files))
        for k, (file, _) in enumerate(files):
            part = slice(6 * k, 6 * k + 6)
            entry = {
                "data": self.images[part].transpose(0, 3, 1, 2).reshape(6, -1),
                self.labels: self.classes[part].tolist(),
            }
            (built / file).write_bytes(pickle.dumps(entry))
        (built / self.kind.meta["filename"]).write_bytes(
            pickle.dumps({self.kind.meta["key"]: [str(k) for k in range(10)]})
        )
        self.packed = folder / self.kind.filename
        with tarfile.open(self.packed, "w:gz") as tar:
            tar.add(built, arcname=self.kind.base_folder)
        md5 = {
            path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in (*built.iterdir(), self.packed)
        }
        for attribute in ("train_list", "test_list"):
            monkeypatch.setattr(
                self.kind, attribute, [[file, md5[file]] for file, _ in getattr(self.kind, attribute)]
            )
        monkeypatch.setattr(self.kind, "meta", {**self.kind.meta, "md5": md5[self.kind.meta["filename"]]})
        monkeypatch.setattr(self.kind, "tgz_md5", md5[self.kind.filename])
        monkeypatch.setattr(self.kind, "url", "http://nowhere.invalid/archive")
        self.root.mkdir()

    def unpack(self) -> Path:
        with tarfile.open(self.packed) as tar:
            tar.extractall(self.root, filter="data")
        return self.root / self.kind.base_folder

    def load(self, **constants: Any) -> Workload:
        return make_workload(self.name, "resnet20", {"width": 2}, root=str(self.root), **constants)

    def refused(self, **constants: Any) -> str:
        with pytest.raises(ValueError, match=self.kind.filename) as caught:
            self.load(**constants)
        return str(caught.value)


@pytest.fixture(params=["cifar10", "cifar100"])
def archive(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    return Archive(request.param, tmp_path, monkeypatch)


def test_an_archive_is_read_whole(archive: Archive) -> None:
    """Images and labels are those of the files, in order, training part first.

    Fused equals serial on them.
    """
    archive.unpack()
    workload = archive.load()
    x = torch.cat([workload.train_x, workload.eval_x])
    y = torch.cat([workload.train_y, workload.eval_y])
    assert x.dtype == torch.uint8
    assert np.array_equal(x.permute(0, 2, 3, 1).numpy(), archive.images)
    assert y.tolist() == archive.classes.tolist()
    assert len(workload.eval_x) == 6
    assert workload.chance == pytest.approx(0.1 if archive.name == "cifar10" else 0.01)
    if archive.name == "cifar10":
        assert_trains(archive.load(label_smoothing=0.1, cutmix_probability=0.5))


def test_a_missing_archive_is_told(archive: Archive) -> None:
    """Which file is missing, its checksum, where to get it, and the switch that downloads it."""
    said = archive.refused()
    for part in (
        "is missing",
        str(archive.root / archive.kind.base_folder),
        archive.kind.tgz_md5,
        archive.kind.url,
        "set download: true",
    ):
        assert part in said


@pytest.mark.parametrize("which", [0, -1, "meta"])
@pytest.mark.parametrize("harm", ["flipped", "short", "empty", "gone"])
def test_a_damaged_file_is_told(archive: Archive, which: Any, harm: str) -> None:
    """For each part: the file, the checksum found and the one wanted are named, and nothing is unpickled."""
    files = [file for file, _ in (*archive.kind.train_list, *archive.kind.test_list)]
    path = archive.unpack() / (archive.kind.meta["filename"] if which == "meta" else files[which])
    content = path.read_bytes()
    path.write_bytes(
        {
            "flipped": content[:50] + bytes([content[50] ^ 1]) + content[51:],
            "short": content[:-7],
            "empty": b"",
            "gone": b"",
        }[harm]
    )
    if harm == "gone":
        path.unlink()
    said = archive.refused()
    assert (
        f"{path} is missing" in said
        if harm == "gone"
        else f"{path} is damaged: its MD5 is {hashlib.md5(path.read_bytes()).hexdigest()}, wanted" in said
    )


def test_a_packed_archive_is_unpacked_by_itself(archive: Archive) -> None:
    """Lying in the folder it is unpacked, without the network; damaged it is named, with both checksums."""
    (archive.root / archive.kind.filename).write_bytes(archive.packed.read_bytes())
    assert len(archive.load().eval_x) == 6
    (archive.root / archive.kind.base_folder / archive.kind.test_list[0][0]).unlink()
    (archive.root / archive.kind.filename).write_bytes(archive.packed.read_bytes()[:-9])
    said = archive.refused()
    assert f"{archive.root / archive.kind.filename} is damaged" in said
    assert archive.kind.tgz_md5 in said


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address at which this machine serves the test's folder to itself."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as http:
        thread = Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_download(
    archive: Archive, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `download: true` it is fetched once.

    If that fails, the error says from where, why, and how else.
    """
    monkeypatch.setattr(archive.kind, "url", f"{server}/{archive.packed.name}")
    assert len(archive.load(download=True).eval_x) == 6
    assert capsys.readouterr().out == ""
    archive.packed.unlink()
    assert len(archive.load(download=True).eval_x) == 6
    (archive.root / archive.kind.base_folder / archive.kind.test_list[0][0]).unlink()
    (archive.root / archive.kind.filename).unlink()
    said = archive.refused(download=True)
    assert f"downloading {server}/{archive.packed.name} failed (HTTPError: HTTP Error 404" in said
    assert "set download" not in said


@pytest.fixture
def content() -> dict[str, np.ndarray]:
    """Arrays of an .npz file: 3 classes, 12 and 6 images of 8 x 8."""
    return {
        "train_x": noise(12, 8),
        "train_y": np.arange(12, dtype=np.uint8) % 3,
        "test_x": noise(6, 8),
        "test_y": np.arange(6) % 3,
    }


def test_arrays_are_read_whole(
    content: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from the folder in the environment, normalised by training statistics; fused equals serial."""
    np.savez_compressed(tmp_path / "own.npz", **content)
    monkeypatch.setenv(DATA, str(tmp_path))
    workload = make_workload("arrays", "convnet", file="own.npz", crop=1, flip=True, cutmix_probability=1.0)
    assert np.array_equal(workload.train_x[:].permute(0, 2, 3, 1).numpy(), content["train_x"])
    assert workload.eval_y.tolist() == content["test_y"].tolist()
    assert workload.chance == pytest.approx(1 / 3)
    x = workload.prepared(workload.train_x[:], torch.float64)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64))
    assert_trains(workload)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train_x", None, "has no train_x; it has train_y, test_x, test_y"),
        ("train_x", np.zeros((12, 8, 8, 3)), r"train_x is float64 of shape \[12, 8, 8, 3\]; wanted uint8"),
        (
            "test_x",
            np.zeros((6, 8, 8), np.uint8),
            r"test_x is uint8 of shape \[6, 8, 8\]; wanted uint8 \[N, height, width, channels\]",
        ),
        ("test_x", np.zeros((6, 9, 8, 3), np.uint8), "they must be equal"),
        ("test_x", np.zeros((0, 8, 8, 3), np.uint8), "wanted at least one example"),
        ("train_y", np.zeros(11, np.int64), "train_x has 12 examples and train_y has 11"),
        ("train_y", np.zeros(12), "train_y is float64"),
        ("test_y", np.array([0, 1, 2, 0, 1, -1]), "test_y holds -1; wanted classes counted from 0"),
        ("test_y", np.array([None] * 6), "damaged or no .npz file"),
    ],
)
def test_arrays_of_another_form_are_refused(
    key: str, value: np.ndarray | None, words: str, content: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """The array, its type and shape, and what is wanted."""
    np.savez(
        tmp_path / "own.npz",
        **{name: array for name, array in {**content, key: value}.items() if array is not None},
    )
    with pytest.raises(ValueError, match=words):
        make_workload("arrays", "convnet", file=str(tmp_path / "own.npz"))


@pytest.mark.parametrize("harm", ["short", "flipped", "text", "empty", "gone"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_array_file_is_told(
    harm: str, packed: bool, content: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """The file is named, with what it should hold."""
    path = tmp_path / "own.npz"
    (np.savez_compressed if packed else np.savez)(path, **content)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "short": whole[:-100],
            "flipped": whole[:900] + bytes(b ^ 255 for b in whole[900:950]) + whole[950:],
            "text": b"x,y\n1,2\n",
            "empty": b"",
            "gone": b"",
        }[harm]
    )
    if harm == "gone":
        path.unlink()
    with pytest.raises(
        ValueError,
        match="own.npz is missing; wanted"
        if harm == "gone"
        else "own.npz is damaged or no .npz file .*; wanted an .npz file with train_x",
    ):
        make_workload("arrays", "convnet", file=str(path))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Images in ImageNet's layout: two classes, 6 for training and 4 for evaluation, of differing sizes."""
    from PIL import Image

    for part, n in (("train", 3), ("val", 2)):
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for k in range(n):
                Image.fromarray(RANDOM.integers(0, 256, (20 + k, 24, 3), dtype=np.uint8)).save(
                    tmp_path / part / label / f"{k}.{'png' if k else 'jpeg'}"
                )
    return tmp_path


def folder(tree: Path, **constants: Any) -> Workload:
    return make_workload(
        "image_folder", "convnet", folder=str(tree), **{"size": 8, "resize": 10, **constants}
    )


def test_a_folder_trains_held_or_read_by_batches(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples have their folder's class.

    Too large to be held they train to the same bits; fused equals serial.
    """
    workload = folder(tree, crop=1, cutmix_probability=0.5)
    assert workload.train_y.tolist() == [0, 0, 0, 1, 1, 1]
    assert workload.train_x[2:4].shape == (2, 3, 8, 8)
    assert workload.train_x[:1].dtype == torch.uint8
    assert_trains(workload)
    parts = make_transform("none"), make_optimizer("adamw"), Budget(steps=3, batch_size=4, points=1)
    held = train_fused(workload, *parts, **CELLS)
    monkeypatch.setattr(feed, "HELD_BYTES", 0)
    assert torch.equal(
        train_fused(folder(tree, crop=1, cutmix_probability=0.5), *parts, **CELLS).loss_KC, held.loss_KC
    )


def test_a_folders_fingerprint_is_that_of_its_files(tree: Path) -> None:
    """The same wherever the folder is; another for another file, size or share of them."""
    before = folder(tree).fingerprint()
    (moved := tree / "elsewhere").mkdir()
    for part in ("train", "val"):
        (tree / part).rename(moved / part)
    assert folder(moved).fingerprint() == before
    assert (
        len({before, folder(moved, size=9).fingerprint(), folder(moved, train_examples=4).fingerprint()}) == 3
    )
    (moved / "train" / "cat" / "1.png").write_bytes((moved / "train" / "cat" / "2.png").read_bytes())
    assert folder(moved).fingerprint() != before


def test_a_folder_that_is_not_whole_is_told(tree: Path) -> None:
    """A missing part, an empty class, classes of one part alone and a damaged image are named."""
    with pytest.raises(ValueError, match=r"test is missing; wanted one folder per class"):
        folder(tree, test="test")
    path = tree / "train" / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(ValueError, match=r"dog/1\.png cannot be decoded .*; fetch it again, or take it out"):
        assert_trains(folder(tree))
    (tree / "train" / "emu").mkdir()
    with pytest.raises(ValueError, match=r"emu.*; wanted one folder per class, each with at least one image"):
        folder(tree)
    (tree / "train" / "dog" / "2.png").rename(tree / "train" / "emu" / "2.png")
    with pytest.raises(
        ValueError, match="train has 3 classes and val has 2; wanted the same; only one part has emu"
    ):
        folder(tree)


@pytest.mark.parametrize(
    ("constants", "words"),
    [
        ({"size": 0}, "size is 0"),
        ({"resize": 7}, "resize is 7"),
        ({"mean": [0.5]}, "wanted 3 each"),
        ({"std": [1, 0, 1]}, r"std\[1\] is 0"),
        ({"train_examples": 99}, "train_examples is 99"),
    ],
)
def test_constants_out_of_range(constants: dict[str, Any], words: str, tree: Path) -> None:
    """A constant that makes no sense is refused by name."""
    with pytest.raises(ValueError, match=words):
        folder(tree, **constants)


def test_subsets_are_nested_and_the_same_for_everybody() -> None:
    """A smaller subset is part of a larger one, and nothing appears twice."""
    few, more = subset("w", "train_examples", 10, 100), subset("w", "train_examples", 30, 100)
    assert set(few.tolist()) < set(more.tolist())
    assert len(set(more.tolist())) == 30
    assert torch.equal(few, subset("w", "train_examples", 10, 100))
    assert torch.equal(subset("w", "train_examples", None, 100), torch.arange(100))
    for wanted, words in (
        (0, "train_examples is 0"),
        (101, "101"),
        (2.5, "whole number"),
        (True, "whole number"),
    ):
        with pytest.raises(ValueError, match=words):
            subset("w", "train_examples", wanted, 100)


def test_statistics_are_those_of_all_pixels() -> None:
    """Mean and population deviation per channel; a channel of one value has deviation 1."""
    x = torch.from_numpy(noise(5, 8)).permute(0, 3, 1, 2).contiguous()
    x[:, 2] = 51
    mean, std = statistics(x)
    plain = x.double() / 255
    assert mean == pytest.approx(plain.mean((0, 2, 3)).tolist())
    assert std == pytest.approx([*plain.std((0, 2, 3), correction=0).tolist()[:2], 1.0])


def test_a_spec_names_them(
    content: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Constants in a spec reach the workload.

    A relative path begins in the named folder, or in the current one.
    """
    from study.spec.read import parse_spec

    np.savez(tmp_path / "own.npz", **content)
    monkeypatch.delenv(DATA, raising=False)
    assert place("own.npz") == Path("own.npz")
    monkeypatch.chdir(tmp_path)
    text = TINY.replace(
        "workload: digits",
        "workload: {name: arrays, file: own.npz, train_examples: 9, label_smoothing: 0.1, "
        "cutmix_probability: 0.5}",
    )
    spec = parse_spec(text.replace("batch_size: 32", "batch_size: 8"))
    workload = workload_of(spec.workload[0], spec.model[0])
    assert len(workload.train_x) == 9
    assert workload.name == "arrays/mlp"
    assert workload.augment is not None
    check_workload(workload)
