"""Interface of the image networks: features, logits, and an optional reconstruction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

StageHook = Callable[[int, "Tensor"], "Tensor"]
"""Called with the index and the output of a stage; the returned tensor replaces the output."""


def unchanged(_stage: int, features: Tensor) -> Tensor:
    """The default hook: returns the features unchanged."""
    return features


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Encoder features of an image.

    Attributes:
        code: `(B, C, h, w)`, the deepest features, from which an image decoder starts.
        skips: The outputs of the stages, finest first, for networks with skip connections.
        image_hw: Rows and columns of the image before padding.
    """

    code: Tensor
    skips: tuple[Tensor, ...]
    image_hw: tuple[int, int]


class SegmentationNetwork(nn.Module, ABC):
    """A 2-D network that segments an image and may reconstruct it from its code.

    Images of any size are padded at the bottom and at the right to a multiple of `stride`, by
    replicating the border; outputs are cropped to the original size.

    Attributes:
        image_channels: Channels of the input and of the reconstruction.
        stride: Downsampling factor between image and code.
        has_image_decoder: True if `reconstruct` may be called.
        style_channels: Channels of the feature maps that the image decoder's hook receives.
    """

    image_channels: int
    stride: int
    has_image_decoder: bool
    style_channels: tuple[int, ...]

    @abstractmethod
    def encode(self, image: Tensor, after_stage: StageHook = unchanged) -> Features:
        """Features of an image `(B, C, H, W)`; the hook is called per stage, finest first."""

    @abstractmethod
    def decode(self, features: Features) -> tuple[Tensor, ...]:
        """Logits `(B, 2, H, W)` (background, foreground).

        A network with deep supervision also returns coarser logits in train mode.
        """

    @abstractmethod
    def reconstruct(self, features: Features, after_stage: StageHook = unchanged) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1], reconstructed from its code only.

        Raises:
            ValueError: The network was built without an image decoder.
        """

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(B, 2, H, W)` of an image `(B, C, H, W)`."""
        return self.decode(self.encode(image))[0]

    def pad(self, image: Tensor) -> Tensor:
        """The image, padded so that both sides are multiples of `stride`, at least `2 * stride`.

        Raises:
            ValueError: The number of channels differs from that of the network.
        """
        if image.ndim != 4 or image.shape[1] != self.image_channels:
            raise ValueError(
                f"image has shape {tuple(image.shape)}, expected (B, {self.image_channels}, H, W);"
                " build the network with the dataset's number of channels"
            )
        # a code of one pixel has no statistics for normalisation, so each side has at least two
        minimum = (max(side, 2 * self.stride) for side in image.shape[-2:])
        padded = (side + -side % self.stride for side in minimum)
        bottom, right = (new - old for new, old in zip(padded, image.shape[-2:], strict=True))
        if bottom == right == 0:
            return image
        return functional.pad(image, (0, right, 0, bottom), mode="replicate")


def crop(maps: Tensor, hw: tuple[int, int]) -> Tensor:
    """The top left `(H, W)` corner of maps `(B, C, >=H, >=W)`."""
    return maps[..., : hw[0], : hw[1]]
