"""Weights that are the same here and in the Rust tests: a counter-based generator seeded by each tensor's name.

No layer is left at zero, so that every path counts. Keep in step with predictor/src/model/golden/weights.rs.
"""

import math
import re

import numpy
import torch

MASK = (1 << 64) - 1


def canonical(name):
    """The name of the first of several names of one shared tensor."""
    name = name.replace("key_value_norm", "query_norm")
    return re.sub(r"row_layers\.\d+\.attn\.(query|key)_transform", "row_layers.0.attn.query_transform", name)


def uniform(name, count):
    """`count` numbers in [-1, 1), multiples of 2^-23, from SplitMix64 seeded by the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with numpy.errstate(over="ignore"):
        state = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        state = state ^ (state >> numpy.uint64(31))
    return ((state >> numpy.uint64(40)).astype(numpy.float64) * 2.0**-23 - 1.0).astype(numpy.float32)


def tensor(name, shape):
    """The tensor of this name."""
    name = canonical(name)
    values = uniform(name, math.prod(shape))
    one = numpy.float32(1)
    if name.endswith("inv_freq"):
        values = numpy.float32(0.75) + numpy.float32(0.5) * values
    elif len(shape) > 1:
        values = values * numpy.float32(math.sqrt(3.0 / shape[-1]))
    elif name.endswith("norm.weight") or name.endswith("mlp.0.weight"):
        values = one + numpy.float32(0.2) * values
    else:
        values = values * numpy.float32(0.1)
    return torch.from_numpy(values.reshape(shape))


def fill(module):
    """Gives every tensor of `module` its weights."""
    state = {name: tensor(name, tuple(value.shape)) for name, value in module.state_dict().items()}
    module.load_state_dict(state)
    return module.eval()
