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

    Source: sources.md S33 (decoder D_i: 2 x 2 transposed convolutions, residual blocks, 1 x 1
    output convolution, sigmoid).
    """

    def __init__(
        self, *, code_channels: int, stage_channels: Sequence[int], image_channels: int
    ) -> None:
        super().__init__()
        inputs = (code_channels, *stage_channels[:-1])
        self.stages = nn.ModuleList(
            _up_stage(c_in, c_out) for c_in, c_out in zip(inputs, stage_channels, strict=True)
        )
        self.output = nn.Conv2d(stage_channels[-1], image_channels, 1)
        self.stage_channels = (*stage_channels, image_channels)

    def forward(self, code: Tensor, after_stage: StageHook = unchanged) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1] (before the last hook) of a code `(B, D, h, w)`."""
        features = code
        for index, stage in enumerate(self.stages):
            features = after_stage(index, stage(features))
        return after_stage(len(self.stages), self.output(features).sigmoid())


def _up_stage(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2),
        ResidualBlock(channels_out, channels_out),
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm, a 1 x 1 skip convolution, and LeakyReLU 0.2.

    Source: sources.md S33.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.skip = nn.Conv2d(channels_in, channels_out, 1)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> Tensor:
        """Features `(B, channels_out, H, W)`."""
        out: Tensor = self.activation(self.body(features) + self.skip(features))
        return out
