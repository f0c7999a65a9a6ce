"""The vision transformer of `trainers.models.vit` in JAX, on the weights that torch writes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def initial(data: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The weights of a seed, by torch's names."""
    import jax.numpy as jnp

    end = f"_{seed}"
    return {
        name.removesuffix(end): jnp.asarray(data[name])
        for name in data
        if name.endswith(end) and not name.startswith("batches")
    }


def transformer(heads: int, patch: int, side: int = 8) -> Callable[[Mapping[str, Any], Any], Any]:
    """Logits of parameters and flat images of one channel.

    Args:
        heads: of each attention.
        patch, side: of a patch and of an image [pixels].
    """
    import jax
    import jax.numpy as jnp

    def norm(params: Mapping[str, Any], name: str, x: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        spread = jnp.square(x - mean).mean(-1, keepdims=True)
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        return (x - mean) * jax.lax.rsqrt(spread + 1e-6) * weight + bias

    def linear(params: Mapping[str, Any], name: str, x: Any, between: str = ".") -> Any:
        return x @ params[f"{name}{between}weight"].T + params[f"{name}{between}bias"]

    def attention(params: Mapping[str, Any], name: str, x: Any) -> Any:
        examples, length, width = x.shape
        qkv = linear(params, f"{name}.in_proj", x, between="_")
        q, k, v = jnp.moveaxis(qkv.reshape(examples, length, 3, heads, width // heads), (2, 3), (0, 2))
        weights = jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / np.sqrt(width // heads))
        mixed = jnp.swapaxes(weights @ v, 1, 2).reshape(x.shape)
        return linear(params, f"{name}.out_proj", mixed)

    def logits(params: Mapping[str, Any], images: Any) -> Any:
        weight = params["patches.weight"]
        rows = side // patch
        pieces = images.reshape(-1, rows, patch, rows, patch).swapaxes(2, 3).reshape(-1, rows**2, patch**2)
        x = pieces @ weight.reshape(len(weight), -1).T + params["patches.bias"]
        token = jnp.broadcast_to(params["token"], (len(x), 1, x.shape[-1]))
        x = jnp.concatenate([token, x], 1) + params["positions"]
        blocks = 1 + max(int(name.split(".")[1]) for name in params if name.startswith("blocks."))
        for one in (f"blocks.{number}" for number in range(blocks - 1)):
            x = x + attention(params, f"{one}.attention", norm(params, f"{one}.norm1", x))
            hidden = linear(params, f"{one}.mlp.0", norm(params, f"{one}.norm2", x))
            x = x + linear(params, f"{one}.mlp.3", jax.nn.gelu(hidden, approximate=False))
        return linear(params, "head", norm(params, f"blocks.{blocks - 1}", x)[:, 0])

    return logits
