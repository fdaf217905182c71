"""Input frames of encoders: images resized, normalised and padded, with one function per rule."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from desam_model.encoder.entry import INPUTS


def mean_std_frames(image: Tensor, side: int, mean: Tensor, std: Tensor) -> Tensor:
    """SAM's frames `(B, 3, side, side)` float32, on the device of `mean`.

    The longest side is resized to `side` in uint8 (antialiased bilinear, equal to the PIL resize of
    the release). Then mean and standard deviation are applied, and zeros are padded below and to
    the right.

    Args:
        image: `(B, C, H, W)` uint8, 0..255, with one to three channels (`INPUTS`).
        side: Side of the frame, px.
        mean: Channel means `(3, 1, 1)`, of 0..255.
        std: Channel standard deviations `(3, 1, 1)`.

    Raises:
        TypeError: The image is not uint8.
        ValueError: The image has another number of dimensions or channels.
    """
    resized = _on_device(_resized(_rgb(image), side), mean.device)
    return _padded((resized.float() - mean) / std, side)


def min_max_frames(image: Tensor, side: int, device: torch.device) -> Tensor:
    """LiteMedSAM's frames `(B, 3, side, side)` float32 in 0..1, on `device`.

    The longest side is resized to `side` in uint8; then each slice is scaled to 0..1 by its own
    smallest and largest value, and zeros are padded below and to the right.

    Deviation: LiteMedSAM resizes by OpenCV's area rule, we by antialiased bilinear as for SAM, so
    that OpenCV is not needed; at 256 px, the size of a dataset's slices, neither does anything.

    Args:
        image: `(B, C, H, W)` uint8, 0..255, with one to three channels (`INPUTS`).
        side: Side of the frame, px.
        device: Where the frames are needed.

    Raises:
        TypeError: The image is not uint8.
        ValueError: The image has another number of dimensions or channels.

    Source:
        LiteMedSAM's `CVPR24_LiteMedSAM_infer.py` (sources.md S70).
    """
    resized = _on_device(_resized(_rgb(image), side), device).float()
    low = resized.amin(dim=(1, 2, 3), keepdim=True)
    span = resized.amax(dim=(1, 2, 3), keepdim=True) - low
    return _padded((resized - low) / span.clamp(min=1e-8), side)


def _rgb(image: Tensor) -> Tensor:
    """The image with three channels by the rule of `INPUTS`, after checking it."""
    if image.dtype != torch.uint8:
        raise TypeError(f"image is {image.dtype}, expected uint8 with values 0..255")
    if image.ndim != 4 or image.shape[1] not in INPUTS:
        raise ValueError(f"image has shape {tuple(image.shape)}, expected (B, 1 to 3, H, W)")
    if image.shape[1] == 2:
        return image[:, list(INPUTS[2])]
    return image.expand(-1, 3, -1, -1)


def _resized(image: Tensor, side: int) -> Tensor:
    """`(B, 3, h, w)` uint8 whose longer side is `side`; SAM's rule: `int(x * scale + 0.5)`."""
    height, width = image.shape[-2:]
    scale = side / max(height, width)
    size = (int(height * scale + 0.5), int(width * scale + 0.5))
    if size == (height, width):
        return image
    return functional.interpolate(
        image.cpu().contiguous(), size=size, mode="bilinear", antialias=True, align_corners=False
    )


def _on_device(image: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda" and image.device.type == "cpu":
        image = image.pin_memory()  # otherwise the copy waits for the computation
    return image.to(device, non_blocking=True)


def _padded(frames: Tensor, side: int) -> Tensor:
    height, width = frames.shape[-2:]
    return functional.pad(frames, (0, side - width, 0, side - height))
