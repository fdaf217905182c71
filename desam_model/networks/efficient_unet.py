"""CSDG's official network: a U-Net with an EfficientNet-b2 encoder, not pretrained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desam_model.networks.base import (
    Features,
    SegmentationNetwork,
    StageHook,
    crop,
    unchanged,
)

if TYPE_CHECKING:
    from torch import Tensor

_CLASSIFIER = ("_conv_head", "_conv_head_padding", "_bn1", "_avg_pooling", "_dropout", "_fc")


class EfficientUNet(SegmentationNetwork):
    """MONAI's `FlexibleUNet` on EfficientNet-b2.

    Source: sources.md S50.
    Deviation: MONAI's decoder replaces that of segmentation_models_pytorch 0.1.3, which would be a
    new dependency for one method. There is no drop-connect, because it cannot take our random
    generator. Grey images have one channel and are not repeated to three.
    """

    def __init__(self, *, image_channels: int) -> None:
        """Builds the network.

        Args:
            image_channels: Channels of the image.
        """
        from monai.networks.nets.flexible_unet import FlexibleUNet  # 19 s and 1 GB to import

        super().__init__()
        self.image_channels = image_channels
        self.stride = 32
        self.has_image_decoder = False
        self.style_channels = ()
        self.net = FlexibleUNet(image_channels, 2, "efficientnet-b2", pretrained=False)
        for name in _CLASSIFIER:  # the library builds these layers, but they are not used
            delattr(self.net.encoder, name)
        for module in self.net.encoder.modules():
            if hasattr(module, "drop_connect_rate"):
                module.drop_connect_rate = 0.0

    def encode(self, image: Tensor, after_stage: StageHook = unchanged) -> Features:
        """See `SegmentationNetwork.encode`; the hook gets the five maps that the decoder uses."""
        height, width = image.shape[-2:]
        maps = self.net.encoder(self.pad(image))
        skips = tuple(after_stage(index, stage) for index, stage in enumerate(maps))
        return Features(code=skips[-1], skips=skips, image_hw=(height, width))

    def decode(self, features: Features) -> tuple[Tensor, ...]:
        """See `SegmentationNetwork.decode`."""
        maps = self.net.decoder(list(features.skips), self.net.skip_connect)
        return (crop(self.net.segmentation_head(maps), features.image_hw),)

    def reconstruct(self, features: Features, after_stage: StageHook = unchanged) -> Tensor:
        """Not available: CSDG has no image decoder.

        Raises:
            ValueError: Always.
        """
        raise ValueError("CSDG's network has no image decoder; use the network of MaxStyle")
