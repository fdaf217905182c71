"""The network of the MaxStyle family: an encoder, a segmentation decoder and an image decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from desam_model.networks.base import (
    Features,
    SegmentationNetwork,
    StageHook,
    crop,
    unchanged,
)
from desam_model.networks.image_decoder import ImageDecoder, ResidualBlock, double_convolution

if TYPE_CHECKING:
    from torch import Tensor

_WIDTHS = (16, 32, 64, 128, 128)
_UP_WIDTHS = (64, 32, 16, 16)


class FCN16(SegmentationNetwork):
    """`FCN_16_standard_no_STN`: encoder E, decoupler H, decoders D_s and D_i, no skip connections.

    Source: sources.md S33, S62 (MaxStyle repository, `models/ebm/encoder_decoder.py`, facts only).
    """

    def __init__(self, *, image_channels: int) -> None:
        """Builds the network with the released widths and initial weights.

        Args:
            image_channels: Channels of the image.
        """
        super().__init__()
        self.image_channels = image_channels
        self.stride = 16
        self.has_image_decoder = True
        self.style_channels = (*_UP_WIDTHS, image_channels)
        first = nn.Sequential(double_convolution(image_channels, _WIDTHS[0]), nn.LeakyReLU(0.2))
        self.stages = nn.ModuleList([first])  # the only stage without a skip convolution
        self.stages.extend(_down_stage(_WIDTHS[i], _WIDTHS[i + 1]) for i in range(4))
        self.to_code = nn.Sequential(
            nn.Conv2d(_WIDTHS[-1], _WIDTHS[-1], 1), nn.BatchNorm2d(_WIDTHS[-1]), nn.ReLU()
        )
        self.decoupler = _decoupler(_WIDTHS[-1])
        inputs = (_WIDTHS[-1], *_UP_WIDTHS[:-1])
        self.up_stages = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), ResidualBlock(c_in, c_out))
            for c_in, c_out in zip(inputs, _UP_WIDTHS, strict=True)
        )
        self.head = nn.Conv2d(_UP_WIDTHS[-1], 2, 1)
        self.image_decoder = ImageDecoder(
            code_channels=_WIDTHS[-1],
            stage_channels=_UP_WIDTHS,
            image_channels=image_channels,
            as_released=True,
        )
        self._initialise()

    def encode(self, image: Tensor, after_stage: StageHook = unchanged) -> Features:
        """See `SegmentationNetwork.encode`; five stages, then the code z_i."""
        height, width = image.shape[-2:]
        features = self.pad(image)
        for index, stage in enumerate(self.stages):
            features = after_stage(index, stage(features))
        return Features(code=self.to_code(features), skips=(), image_hw=(height, width))

    def decode(self, features: Features) -> tuple[Tensor, ...]:
        """See `SegmentationNetwork.decode`: D_s(H(z_i))."""
        maps = self.decoupler(features.code)
        for stage in self.up_stages:
            maps = stage(maps)
        return (crop(self.head(maps), features.image_hw),)

    def reconstruct(self, features: Features, after_stage: StageHook = unchanged) -> Tensor:
        """See `SegmentationNetwork.reconstruct`: D_i(z_i)."""
        image: Tensor = self.image_decoder(features.code, after_stage)
        return crop(image, features.image_hw)

    def _initialise(self) -> None:
        """Draws the initial weights as released (sources.md S62).

        Transposed convolutions and the biases of convolutions keep PyTorch's; the biases of the two
        output convolutions are 0.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
        for output in (self.head, self.image_decoder.output):
            assert output.bias is not None
            nn.init.zeros_(output.bias)


def _down_stage(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_in, 3, stride=2, padding=1),
        ResidualBlock(channels_in, channels_out),
    )


def _decoupler(channels: int) -> nn.Sequential:
    return nn.Sequential(*double_convolution(channels, channels, bias=False), nn.ReLU())
