"""What a comparison method may ask of its image network: features, logits, a reconstruction."""

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
"""Called with a stage's index and its output; what it returns takes the output's place."""


def unchanged(_stage: int, features: Tensor) -> Tensor:
    """The hook that changes nothing."""
    return features


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What an encoder makes of an image.

    Attributes:
        code: `(B, C, h, w)`, the deepest features; an image decoder starts here.
        skips: The outputs of the stages, finest first, for networks with skip connections.
        image_hw: Rows and columns of the image before padding.
    """

    code: Tensor
    skips: tuple[Tensor, ...]
    image_hw: tuple[int, int]


class SegmentationNetwork(nn.Module, ABC):
    """A 2-D network that segments an image and may reconstruct it from its code.

    Images of any size are padded at the bottom and the right to a multiple of `stride`, by
    replicating the border; outputs are cropped back.

    Attributes:
        image_channels: Channels of the input, and of the reconstruction.
        stride: How much coarser the code is than the image.
        has_image_decoder: True if `reconstruct` may be called.
        style_channels: Channels of the image decoder's stages, as its hook sees them.
    """

    image_channels: int
    stride: int
    has_image_decoder: bool
    style_channels: tuple[int, ...]

    @abstractmethod
    def encode(self, image: Tensor, after_stage: StageHook = unchanged) -> Features:
        """Features of an image `(B, C, H, W)`; the hook sees every encoder stage, finest first."""

    @abstractmethod
    def decode(self, features: Features) -> tuple[Tensor, ...]:
        """Logits `(B, 2, H, W)` (background, foreground).

        A network with deep supervision adds coarser maps in train mode.
        """

    @abstractmethod
    def reconstruct(self, features: Features, after_stage: StageHook = unchanged) -> Tensor:
        """The image `(B, C, H, W)` in [0, 1] from its code alone.

        Raises:
            ValueError: The network was built without an image decoder.
        """

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(B, 2, H, W)` of an image `(B, C, H, W)`."""
        return self.decode(self.encode(image))[0]

    def pad(self, image: Tensor) -> Tensor:
        """The image with both sides a multiple of `stride`, at least two of them.

        Raises:
            ValueError: The image has another number of channels than the network.
        """
        if image.ndim != 4 or image.shape[1] != self.image_channels:
            raise ValueError(
                f"image has shape {tuple(image.shape)}, expected (B, {self.image_channels}, H, W);"
                " build the network with the dataset's number of channels"
            )
        # a code of one pixel has no statistics to normalise by, so it gets at least two a side
        wanted = (max(side, 2 * self.stride) for side in image.shape[-2:])
        padded = (side + -side % self.stride for side in wanted)
        bottom, right = (new - old for new, old in zip(padded, image.shape[-2:], strict=True))
        if bottom == right == 0:
            return image
        return functional.pad(image, (0, right, 0, bottom), mode="replicate")


def crop(maps: Tensor, hw: tuple[int, int]) -> Tensor:
    """The top left `(H, W)` of maps `(B, C, >=H, >=W)`."""
    return maps[..., : hw[0], : hw[1]]
