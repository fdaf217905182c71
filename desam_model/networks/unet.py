"""The 2-D U-Net that all image methods share in the unified harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

from desam_model.networks.base import (
    Features,
    SegmentationNetwork,
    StageHook,
    crop,
    unchanged,
)
from desam_model.networks.image_decoder import ImageDecoder

if TYPE_CHECKING:
    from torch import Tensor

NORMS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


class UNet(SegmentationNetwork):
    """nnU-Net's plain 2-D U-Net, with an optional image decoder on its bottleneck.

    Source: sources.md S29; network code from `dynamic_network_architectures` (the package of
    nnU-Net's authors, Apache-2.0).
    """

    def __init__(
        self,
        *,
        image_channels: int,
        width: int = 32,
        stages: int = 5,
        max_width: int = 512,
        norm: Literal["batch", "instance"] = "batch",
        image_decoder: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        """Builds the network.

        Args:
            image_channels: Channels of the image.
            width: Channels of the first stage; each stage doubles them up to `max_width`.
            stages: Number of resolutions; the code is `2 ** (stages - 1)` times coarser than the
                image.
            max_width: Maximum number of channels per stage.
            norm: Normalisation after every convolution. Batch norm keeps the feature statistics of
                each image, which style methods need; instance norm removes them.
            image_decoder: True to add the decoder that `reconstruct` needs.
            deep_supervision: True to return coarser logits from `decode` too in train mode.

        Raises:
            ValueError: `stages` is below 2 or `width` below 1.
        """
        super().__init__()
        if stages < 2 or width < 1:
            raise ValueError(
                f"stages is {stages} and width is {width}, expected stages >= 2 and width >= 1"
            )
        widths = [min(width * 2**i, max_width) for i in range(stages)]
        self.image_channels = image_channels
        self.stride = 2 ** (stages - 1)
        # segmentation network
        self.net = PlainConvUNet(
            image_channels,
            stages,
            widths,
            nn.Conv2d,
            3,
            [1] + [2] * (stages - 1),
            2,
            2,
            2,
            conv_bias=True,
            norm_op=NORMS[norm],
            norm_op_kwargs={"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=deep_supervision,
        )
        self.net.apply(self.net.initialize)
        self._deep_supervision = deep_supervision
        if not deep_supervision:
            # the library builds a head per stage; without deep supervision only the last is used
            self.net.decoder.seg_layers = nn.ModuleList([self.net.decoder.seg_layers[-1]])
        # image decoder
        self.has_image_decoder = image_decoder
        up = widths[-2::-1]
        self.image_decoder = (
            ImageDecoder(code_channels=widths[-1], stage_channels=up, image_channels=image_channels)
            if image_decoder
            else None
        )
        self.style_channels = (*up, image_channels)

    def encode(self, image: Tensor, after_stage: StageHook = unchanged) -> Features:
        """See `SegmentationNetwork.encode`; there are `stages` stages."""
        height, width = image.shape[-2:]
        features = self.pad(image)
        skips = []
        for index, stage in enumerate(self.net.encoder.stages):
            features = after_stage(index, stage(features))
            skips.append(features)
        return Features(code=features, skips=tuple(skips), image_hw=(height, width))

    def decode(self, features: Features) -> tuple[Tensor, ...]:
        """See `SegmentationNetwork.decode`; coarser maps are not cropped."""
        self.net.decoder.deep_supervision = self._deep_supervision and self.training
        maps = self.net.decoder(list(features.skips))
        finest, *coarser = maps if isinstance(maps, (list, tuple)) else [maps]
        return (crop(finest, features.image_hw), *coarser)

    def reconstruct(self, features: Features, after_stage: StageHook = unchanged) -> Tensor:
        """See `SegmentationNetwork.reconstruct`."""
        if self.image_decoder is None:
            raise ValueError("this U-Net has no image decoder; build it with image_decoder=True")
        image: Tensor = self.image_decoder(features.code, after_stage)
        return crop(image, features.image_hw)
