"""Prediction of the next token of a text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from trainers.naming import check_range, look_up, short
from trainers.workloads.base import Workload
from trainers.workloads.corpus import CORPORA
from trainers.workloads.pixels import place
from trainers.workloads.tokens import BYTES, CHUNK, Tokens, of_bytes, of_file, of_tokenizer

SYNTHETIC = "synthetic"
NUMBERS = ".bin"
"""Ending of files that hold tokens instead of text."""
HELD_OUT = 10
"""The last one of so many parts of the tokens is for validation."""


def text(
    model: Callable[[tuple[int, ...], int], nn.Module],
    model_name: str,
    file: str | None = None,
    corpus: str = SYNTHETIC,
    tokens: str = BYTES,
    vocabulary: int | None = None,
    context: int = 64,
    stride: int | None = None,
    length: int = 2**20,
    eval_windows: int = 64,
    z_loss: float = 0.0,
    seed: int = 0,
) -> Workload:
    """Prediction of each next token of a text, from those before it in a window.

    The last tenth of the tokens is for validation. Windows begin every `stride` tokens. Each batch draws some
    without replacement, by the seed of a cell and the step alone: they are the same for all cells of a seed.

        loss = mean over all tokens of −log p(token) + z_loss · (log Z)²,   Z the sum of exp(logits)

    The metric is the mean of −log p over the tokens of `eval_windows` windows [nats per token], without
    `z_loss`; its exponential is the perplexity. Its chance level is that of a model that knows the
    frequencies of tokens alone: −Σ_v q_v log p_v. Here q_v is the share of token v among those to be
    predicted in evaluation, and p_v = (n_v + 1) / (n + V) is from its count n_v in the n tokens for training,
    of V different ones.

    Args:
        model: builds a network from (context,) and the size of the vocabulary.
        model_name: the name of that network.
        file: a text, or with the ending `.bin` tokens of two bytes each (uint16), as nanoGPT writes them. A
            relative path begins in the environment's STABILITY_STUDY_DATA or, without that, in the current
            folder. If not given, the text is `corpus`.
        corpus: `synthetic`, a language that is made from `seed`; or `python`, the source and documentation of
            the running Python's library, which is another text in another patch release.
        tokens: `bytes`, where each byte is a token, whatever it means; or the path of a JSON file of Hugging
            Face's `tokenizers`, for texts in UTF-8.
        vocabulary: number of different tokens of a `.bin` file, in [2, 65536].
        context: length of a window [tokens].
        stride: tokens between the starts of two windows; if not given, `context`, so that they do not
            overlap and each pass over the data predicts each token once.
        length: of a corpus, at most [bytes].
        eval_windows: how many windows are for evaluation, evenly spaced; all, where there are fewer.
        z_loss: weight of the squared log Z, which keeps logits small, >= 0.
        seed: decides the synthetic language, and nothing else.

    Raises:
        ValueError: the text is missing, empty or too short, it is no UTF-8 where a tokenizer needs it, a
            token is beyond the vocabulary, the model takes no tokens, or a constant is out of range.

    Reference: windows and files as in nanoGPT; `z_loss` as in Wortsman et al., "Small-scale proxies for
        large-scale Transformer training instabilities", 2023, section 3.1.2.
    Differs from the reference: nanoGPT draws windows with replacement, and at every token.
    """
    check_range("text", 2, context=context)
    check_range("text", 1, eval_windows=eval_windows, length=length)
    check_range("text", 0.0, z_loss=z_loss)
    stride = context if stride is None else stride
    check_range("text", 1, stride=stride)
    source, found = tokens_of(file, corpus, tokens, vocabulary, length, seed)
    split = len(found.ids) - len(found.ids) // HELD_OUT
    parts = found.ids[:split], found.ids[split:]
    for part, ids in zip(("training", "validation"), parts, strict=True):
        if len(ids) <= context:
            raise ValueError(
                f"text: {source} has {len(found.ids)} tokens, of which {len(ids)} are for {part}; wanted "
                f"more than context, which is {context}: give a longer text, or a smaller context"
            )
    check_model(model, model_name, context, found.vocabulary)
    train, every = shifted(parts[0], context, stride), shifted(parts[1], context, context)
    evaluation = [spaced(windows, eval_windows) for windows in every]
    return Workload(
        name=f"text/{model_name}",
        build=lambda: model((context,), found.vocabulary),
        train_x=train[0],
        train_y=train[1],
        eval_x=evaluation[0],
        eval_y=evaluation[1],
        loss=partial(token_loss, z_loss=z_loss) if z_loss else token_loss,
        score=nats_per_token,
        metric_name="nats_per_token",
        higher_is_better=False,
        chance=unigram(parts[0], evaluation[1], found.vocabulary),
        prepare=as_indices,
        output_numbers=context * found.vocabulary,
    )


def tokens_of(
    file: str | None, corpus: str, tokens: str, vocabulary: int | None, length: int, seed: int
) -> tuple[str, Tokens]:
    """The tokens that constants name, and what to call them in messages.

    Raises:
        ValueError: see `text`.
    """
    if file is not None and corpus != SYNTHETIC:
        raise ValueError(f"text: file is {short(file)} and corpus is {short(corpus)}; give one of them")
    path = None if file is None else place(file)
    numbers = path is not None and path.suffix == NUMBERS
    if (vocabulary is None) == numbers:
        raise ValueError(
            f"text: {path} needs its vocabulary; give the number of different tokens"
            if numbers
            else "text: vocabulary is of .bin files alone, which hold numbers; leave it out"
        )
    if path is None:
        source, content = f"corpus {corpus!r}", look_up("corpus", corpus, CORPORA)(length, seed)
    else:
        source = str(path)
        if not path.is_file():
            raise ValueError(
                f"{path} is missing; wanted a text or a .bin file of tokens; give its path as `file`"
            )
        if path.stat().st_size == 0:
            raise ValueError(f"{path} is empty; wanted a text or a .bin file of tokens")
        if numbers:
            if tokens != BYTES:
                raise ValueError(f"text: {path} holds tokens already; leave tokens: {short(tokens)} out")
            check_range("text", 2, 2**16, vocabulary=vocabulary)
            return source, of_file(path, int(vocabulary or 0))
        content = path.read_bytes()
    if tokens == BYTES:
        return source, of_bytes(content)
    return source, of_tokenizer(content, place(tokens), source)


def check_model(
    model: Callable[[tuple[int, ...], int], nn.Module], name: str, context: int, vocabulary: int
) -> None:
    """Refuse networks that do not give logits for every token of a window.

    Raises:
        ValueError: the output has another shape, or there is none.
    """
    wanted = [2, context, vocabulary]
    tokens = torch.zeros(2, context, dtype=torch.int64)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            found = f"it gives {list(model((context,), vocabulary)(tokens).shape)}"
    except (RuntimeError, IndexError, TypeError) as error:
        found = next(iter(str(error).splitlines()), "")[:100]
    if found != f"it gives {wanted}":
        raise ValueError(
            f"text: the model {name!r} does not make logits {wanted} of tokens {list(tokens.shape)} "
            f"({found}); take model: llama"
        )


def shifted(ids: Tensor, context: int, stride: int) -> tuple[Tensor, Tensor]:
    """Windows [N, context] of a sequence, and the same windows one token later, which are their targets.

    Both are views, however the windows overlap.
    """
    return ids[:-1].unfold(0, context, stride), ids[1:].unfold(0, context, stride)


def spaced(windows: Tensor, count: int) -> Tensor:
    """So many windows, evenly spaced; all, where there are fewer."""
    count = min(count, len(windows))
    return windows[torch.arange(count) * len(windows) // count]


def as_indices(tokens: Tensor, dtype: torch.dtype) -> Tensor:
    """Tokens as an embedding takes them."""
    return tokens.long()


def token_loss(output: Tensor, target: Tensor, z_loss: float = 0.0) -> Tensor:
    """Mean over all tokens of −log p(token) + z_loss · (log Z)².

    Args:
        output: logits, shape [B, length, V].
        target: tokens, shape [B, length].
    """
    index = target.long().unsqueeze(-1)
    nats = -output.log_softmax(-1).gather(-1, index)
    if not z_loss:
        return nats.mean()
    # log p = logit - log Z, so that no second pass over all logits is needed.
    log_z = output.gather(-1, index) + nats
    return nats.mean() + z_loss * log_z.square().mean()


def nats_per_token(output: Tensor, target: Tensor) -> Tensor:
    """Mean of −log p(token) over each window, shape [B]."""
    nats = -output.log_softmax(-1).gather(-1, target.long().unsqueeze(-1))
    return nats.mean((-2, -1))


def unigram(train: Tensor, targets: Tensor, vocabulary: int) -> float:
    """Cross-entropy of targets under the frequencies of tokens in training [nats per token]; see `text`."""
    counts = torch.zeros(vocabulary, dtype=torch.float64)
    for at in range(0, len(train), CHUNK):
        counts += torch.bincount(train[at : at + CHUNK].int(), minlength=vocabulary)
    share = torch.bincount(targets.flatten().int(), minlength=vocabulary).double() / targets.numel()
    return float(-(share * ((counts + 1) / (len(train) + vocabulary)).log()).sum())
