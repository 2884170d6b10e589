"""The encoders of the file are those of the papers: shapes, numbers of parameters, and the pictures they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from mtlbench.architectures import encoders
from mtlbench.architectures.encoders.segnet import unpool
from mtlbench.errors import InputError
from mtlbench.training.seeding import Streams, initialise

# name, parameters, shape of an input, shape of its representation, number of parameters
KNOWN = [
    ("mlp", {"width": 9, "depth": 3}, (4, 5), (9,), 20 * 9 + 9 + 2 * (81 + 9)),
    # Sener and Koltun on 36 by 36 pictures: 5x5 kernels, 6x6 places left of 20 channels, one layer of 50.
    ("lenet", {}, (1, 36, 36), (50,), 10 * 26 + 20 * (250 + 1) + 720 * 50 + 50),
    ("lenet", {"kernel": 3, "width": 7, "depth": 2}, (1, 12, 12), (7,), 10 * 10 + 20 * 91 + 20 * 7 + 7 + 56),
    # ResNet-18 has 11,689,512 parameters with its last layer of 512 to 1000.
    ("resnet18", {}, (3, 64, 64), (512,), 11_689_512 - 513_000),
    ("resnet18", {"stem": "small", "width": 2}, (3, 8, 8), (16,), None),
    # Convolutions, two full layers of 512, and two numbers for each of 2880 normalised channels.
    ("celeba_cnn", {}, (3, 64, 64), (512,), 4_646_592 + 2 * 512 * 512 + 2 * 2880),
    ("segnet", {"width": 2, "depth": 2}, (3, 9, 14), (2, 9, 14), None),
    # The shared network of the MTAN code has 26 convolutions, as VGG-16 has 13, and VGG's have 14,714,688 parameters.
    ("segnet", {}, (3, 32, 32), (64, 32, 32), None),
]


def build(name, parameters, shape):
    network = encoders.get(name, **parameters).build(torch.randn(1, *shape), "pictures")
    initialise(network, Streams(0, 0))
    return network


@pytest.mark.parametrize(("name", "parameters", "shape", "features", "count"), KNOWN)
def test_shapes_and_sizes(name, parameters, shape, features, count):
    network = build(name, parameters, shape)
    assert network(torch.randn(2, *shape)).shape == (2, *features)
    if count is not None:
        assert sum(p.numel() for p in network.parameters()) == count


def test_segnet_s_way_down_is_vgg_16():
    network = build("segnet", {}, (3, 32, 32))
    convolutions = [m for m in network.down.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    assert sum(p.numel() for m in convolutions for p in m.parameters()) == 14_714_688
    assert len([m for m in network.up.modules() if isinstance(m, nn.Conv2d)]) == 13


def test_unpooling_is_that_of_torch():
    pictures = torch.randn(2, 3, 9, 14)
    pooled, places = max_pool2d(pictures, 2, return_indices=True)
    assert torch.equal(unpool(pooled, places, pictures), nn.MaxUnpool2d(2)(pooled, places, output_size=(9, 14)))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lenet", (20,), r"pictures: the encoder lenet reads pictures .* has the shape \(20,\): mlp reads any"),
        ("lenet", (1, 12, 12), "pictures of 12 by 12 are too small .* kernel 5 .* a smaller kernel"),
        ("segnet", (3, 40, 31), "pictures of 40 by 31 cannot be halved 5 times: give segnet a smaller depth"),
        ("resnet18", (3, 64), "the encoder resnet18 reads pictures"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(name, shape, message):
    with pytest.raises(InputError, match=message):
        build(name, {}, shape)
