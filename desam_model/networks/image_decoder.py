"""The auxiliary decoder that reconstructs the image from its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from desam_model.networks.base import StageHook, unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class ImageDecoder(nn.Module):
    """Transposed convolutions from a code to an image in [0, 1], without skip connections.

    The hook is called with the output of each up-stage and then with the image, so that MaxStyle
    can change their style.

    Source: sources.md S33, S62 (decoder D_i: 2 x 2 transposed convolutions, residual blocks, 1 x 1
    output convolution, sigmoid).
    """

    def __init__(
        self,
        *,
        code_channels: int,
        stage_channels: Sequence[int],
        image_channels: int,
        as_released: bool = False,
    ) -> None:
        """Builds the decoder.

        Args:
            code_channels: Channels of the code.
            stage_channels: Channels of the up-stages, coarsest first.
            image_channels: Channels of the image.
            as_released: True for MaxStyle's stages: the residual block narrows the maps and its
                convolutions have biases. False for the smaller ones of the unified profile.
        """
        super().__init__()
        inputs = (code_channels, *stage_channels[:-1])
        up_stage = _released_up_stage if as_released else _narrowing_up_stage
        self.stages = nn.ModuleList(
            up_stage(c_in, c_out) for c_in, c_out in zip(inputs, stage_channels, strict=True)
        )
        self.output = nn.Conv2d(stage_channels[-1], image_channels, 1)
        self.stage_channels = (*stage_channels, image_channels)

    def forward(self, code: Tensor, after_stage: StageHook = unchanged) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1] (before the last hook) of a code `(B, D, h, w)`."""
        features = code
        for index, stage in enumerate(self.stages):
            features = after_stage(index, stage(features))
        return after_stage(len(self.stages), self.output(features).sigmoid())


def _released_up_stage(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_in, 2, stride=2),
        ResidualBlock(channels_in, channels_out),
    )


def _narrowing_up_stage(channels_in: int, channels_out: int) -> nn.Sequential:
    """An up-stage whose transposed convolution narrows the maps.

    Deviation: in the release the residual block narrows them. On the unified U-Net's bottleneck of
    512 channels that takes 3.9 million weights instead of 2.4, and MaxStyle decodes six times per
    step.
    """
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2),
        ResidualBlock(channels_out, channels_out, bias=False),
    )


class ResidualBlock(nn.Module):
    """A double convolution with a 1 x 1 skip convolution, then LeakyReLU 0.2.

    Source: sources.md S33, S62.
    """

    def __init__(self, channels_in: int, channels_out: int, *, bias: bool = True) -> None:
        super().__init__()
        self.body = double_convolution(channels_in, channels_out, bias=bias)
        self.skip = nn.Conv2d(channels_in, channels_out, 1)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(B, channels_out, H, W)`."""
        out: Tensor = self.activation(self.body(features) + self.skip(features))
        return out


def double_convolution(channels_in: int, channels_out: int, *, bias: bool = True) -> nn.Sequential:
    """Two 3 x 3 convolutions with batch norm, and LeakyReLU 0.2 between them."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias),
        nn.BatchNorm2d(channels_out),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=bias),
        nn.BatchNorm2d(channels_out),
    )
