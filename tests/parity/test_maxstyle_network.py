"""FCN-16 against the public code of MaxStyle: parameters, initial weights, outputs.

The numbers were written down from a run of the public layers, retyped elsewhere
(`cherise215/MaxStyle`, 643ed25,
`src/models/ebm/encoder_decoder.py`: `Dual_Branch_Encoder`, and `MyDecoder` with `NN` and `Conv2`,
widths divided by 4) in float64 and train mode, with the weights of `fill` and the images of
`waves`. The counts also follow by hand: an up-stage from a to b channels has 4 a a + a (transposed
convolution, image decoder only), 9 a b + b, 2 b, 9 b b + b, 2 b, and a b + b (skip) parameters.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from desam_model.networks.fcn16 import FCN16
from desam_model.networks.image_decoder import ImageDecoder


def parameters_of(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def fill(network: nn.Module) -> None:
    """Sets every weight to a sine of its number, in the order of the layers."""
    numbers = iter(range(1, 1 + parameters_of(network)))

    def sines(like: torch.Tensor) -> torch.Tensor:
        drawn = [next(numbers) for _ in range(like.numel())]
        return torch.tensor(drawn, dtype=like.dtype).sin().reshape(like.shape)

    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                scale = (2 / layer.weight[0].numel()) ** 0.5
                layer.weight.copy_(scale * sines(layer.weight))
                if layer.bias is not None:
                    layer.bias.copy_(0.1 * sines(layer.bias))
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(1 + 0.1 * sines(layer.weight))
                layer.bias.copy_(0.1 * sines(layer.bias))


def waves() -> torch.Tensor:
    """Two images `(2, 1, 32, 32)` in [0, 1]."""
    row, column = torch.meshgrid(
        torch.arange(32.0, dtype=torch.float64),
        torch.arange(32.0, dtype=torch.float64),
        indexing="ij",
    )
    first = (0.3 * row + 0.2 * column).sin()
    second = (0.5 * row - 0.1 * column).cos()
    return 0.5 + 0.5 * torch.stack([first, second])[:, None]


@pytest.fixture(scope="module")
def network() -> FCN16:
    return FCN16(image_channels=1)


def test_each_part_has_the_parameters_of_the_public_code(network: FCN16) -> None:
    encoder = parameters_of(network.stages, network.to_code, network.decoupler)
    assert encoder == 1_125_632
    assert parameters_of(network.up_stages, network.head) == 161_698
    assert parameters_of(network.image_decoder) == 248_961


def test_the_unified_image_decoder_is_smaller_as_declared() -> None:
    sizes = {"code_channels": 128, "stage_channels": (64, 32, 16, 16), "image_channels": 1}
    assert parameters_of(ImageDecoder(**sizes)) == 151_825
    assert parameters_of(ImageDecoder(**sizes, as_released=True)) == 248_961


def test_only_the_first_stage_has_no_skip_convolution(network: FCN16) -> None:
    skips = [
        sum(
            layer.kernel_size == (1, 1) for layer in stage.modules() if isinstance(layer, nn.Conv2d)
        )
        for stage in network.stages
    ]
    assert skips == [0, 1, 1, 1, 1]


def test_the_outputs_are_those_of_the_public_code() -> None:
    network = FCN16(image_channels=1).double().train()
    fill(network)
    features = network.encode(waves())
    (logits,) = network.decode(features)
    image = network.reconstruct(features)

    assert features.code.mean().item() == pytest.approx(0.42584956579824396, rel=1e-9)
    assert features.code.std().item() == pytest.approx(0.5661659286562571, rel=1e-9)

    assert logits.mean().item() == pytest.approx(-0.12633650102385074, rel=1e-9)
    assert logits.std().item() == pytest.approx(0.6729633976649342, rel=1e-9)
    pixels = torch.stack([logits[0, :, 3, 5], logits[1, :, 20, 9], logits[1, :, 31, 31]])
    expected = [
        [-0.5173385230255323, 0.3168729656327992],
        [-0.6383412807498355, 0.3448221125465303],
        [-0.1961280678281122, 0.016554972738856276],
    ]
    assert pixels.tolist() == [pytest.approx(pixel, rel=1e-8) for pixel in expected]

    assert image.mean().item() == pytest.approx(0.4697297631993118, rel=1e-9)
    assert image.std().item() == pytest.approx(0.10596801415591298, rel=1e-9)
    pixels = torch.stack([image[0, 0, 3, 5], image[1, 0, 20, 9], image[1, 0, 31, 31]])
    expected = [0.4949995827016457, 0.5889441608287789, 0.4782919524430081]
    assert pixels.tolist() == pytest.approx(expected, rel=1e-8)


def test_initial_weights_are_kaimings_for_convolutions_alone(network: FCN16) -> None:
    convolution = network.stages[4][1].body[0]  # 128 channels in
    assert convolution.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    assert convolution.bias.abs().max() > 0

    # PyTorch's: uniform, its bound by the 4 x 128 weights of an output
    transposed = network.image_decoder.stages[0][0]
    bound = (4 * 128) ** -0.5
    assert transposed.weight.abs().max().item() == pytest.approx(bound, rel=0.01)

    assert network.head.bias.tolist() == [0.0, 0.0]
    assert network.image_decoder.output.bias.tolist() == [0.0]
    norms = torch.cat([m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
    assert norms.mean().item() == pytest.approx(1.0, abs=0.005)
    assert norms.std().item() == pytest.approx(0.02, rel=0.1)
