"""Reads and writes checkpoints in the format of the authors' release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from desam_model.checkpoint_file import write_atomically
from desam_model.desam.ablation import Ablation
from desam_model.desam.desam import DeSAM
from desam_model.desam.losses import LossProfile
from desam_model.desam.pdmm import PDMM
from desam_model.desam.prim import PRIM
from desam_model.desam.prompts import PromptTokens
from desam_model.desam.reference_names import matching_weight, read_state_dict, reference_name
from desam_model.types import PromptMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

Weights = dict[str, "Tensor"]

_PATCH_PX = 16
"""Side of SAM's patches; it cannot be inferred without the image encoder's weights."""


def load_reference_checkpoint(
    path_or_state_dict: Path | str | Mapping[str, Tensor],
    *,
    prompt_mode: PromptMode | str = PromptMode.GRID_POINTS,
    num_heads: int | None = None,
) -> DeSAM:
    """A DeSAM in eval mode with the weights of a checkpoint of the authors' code.

    Widths and depths are inferred from the shapes. The model accepts embeddings of any grid size,
    at 16 px per token. Weights of the image encoder, and those that the release does not use, are
    ignored.

    Args:
        path_or_state_dict: A `.pth` file, or its content.
        prompt_mode: The mode it was trained with; it cannot be inferred from the weights.
        num_heads: Number of attention heads, which cannot be inferred from the shapes; by default
            SAM's 8 at width 256 (`prim.default_heads`).

    Raises:
        ValueError: The file cannot be read, or a weight is missing or has another shape.
    """
    weights = read_state_dict(path_or_state_dict)
    origin = (
        "the state dict"
        if not isinstance(path_or_state_dict, (str, Path))
        else str(path_or_state_dict)
    )
    model = _untrained_model(weights, origin, PromptMode(prompt_mode), num_heads)
    model.load_state_dict(
        {
            name: matching_weight(weights, reference_name(name), tensor, origin)
            for name, tensor in model.state_dict().items()
        }
    )
    return model.eval()


def save_reference_checkpoint(model: DeSAM, path: Path | str) -> None:
    """Write the model's weights under the authors' names, complete for a strict load.

    Weights that the release builds but does not use are written as zeros.

    Args:
        model: A DeSAM with PRIM and fusion, such as ablation `full`.
        path: A `.pth` file; replaced atomically.

    Raises:
        ValueError: The ablation has no counterpart in the release.
    """
    write_atomically(Path(path), reference_state_dict(model))


def reference_state_dict(model: DeSAM) -> Weights:
    """The model's weights under the authors' names, see `save_reference_checkpoint`."""
    if model.prim is None or model.pdmm.fusion is None:
        raise ValueError(
            f"ablation {model.ablation} has no released form; only models with PRIM and fusion do"
        )
    weights = {
        reference_name(name): tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
    }
    return weights | {name: torch.zeros(shape) for name, shape in _unused_shapes(model).items()}


def _untrained_model(
    weights: Weights, origin: str, prompt_mode: PromptMode, num_heads: int | None
) -> DeSAM:
    """An untrained DeSAM whose sizes are inferred from the shapes of the weights."""
    probes = {
        "top": "mask_decoder.pimm.conv_blocks_context.2.block_init.conv1.conv.weight",
        "middle": "mask_decoder.pimm.conv_blocks_context.1.block_init.conv1.conv.weight",
        "bottom": "mask_decoder.pimm.conv_blocks_context.0.block_init.conv1.conv.weight",
        "mlp": "mask_decoder.transformer.layers.0.mlp.lin1.weight",
        "iou": "mask_decoder.iou_prediction_head.layers.0.weight",
    }
    # refuse a checkpoint of another model
    missing = [name for name in probes.values() if name not in weights]
    if missing:
        raise ValueError(
            f"{origin} is not a checkpoint of DeSAM's released code: {missing[0]} is missing; load"
            " a SAM checkpoint with load_sam_decoder"
        )
    # infer widths, depth and the embedding grid
    dim = weights[probes["bottom"]].shape[0]
    tap_channels = [weights[probes[level]].shape[1] for level in ("top", "middle", "bottom")]
    depth = 1 + max(
        int(name.split(".")[3]) for name in weights if "mask_decoder.transformer.layers." in name
    )
    position = weights.get("image_encoder.pos_embed")
    grid_hw = (64, 64) if position is None else (position.shape[1], position.shape[2])
    # build it; the random initial weights are then overwritten
    with torch.random.fork_rng(devices=[]):
        return DeSAM(
            prompts=PromptTokens(dim=dim, grid_hw=grid_hw, patch_px=_PATCH_PX),
            prim=PRIM(
                dim=dim,
                depth=depth,
                num_heads=num_heads,
                mlp_dim=weights[probes["mlp"]].shape[0],
                iou_hidden_dim=weights[probes["iou"]].shape[0],
            ),
            pdmm=PDMM(tap_channels=tap_channels, dim=dim),
            prompt_mode=prompt_mode,
            ablation=Ablation.FULL,
            loss_profile=LossProfile.RELEASED,
        )


def _unused_shapes(model: DeSAM) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that the release builds but does not use."""
    dim = model.pdmm.dim
    shapes: dict[str, tuple[int, ...]] = {
        "mask_decoder.output_upscaling.0.weight": (dim, dim // 4, 2, 2),
        "mask_decoder.output_upscaling.0.bias": (dim // 4,),
        "mask_decoder.output_upscaling.1.weight": (dim // 4,),
        "mask_decoder.output_upscaling.1.bias": (dim // 4,),
        "mask_decoder.output_upscaling.3.weight": (dim // 4, dim // 8, 2, 2),
        "mask_decoder.output_upscaling.3.bias": (dim // 8,),
        "mask_decoder.pimm.seg_outputs.0.weight": (1, dim // 2, 1, 1),
    }
    for token in range(4):
        for layer, (rows, columns) in enumerate(((dim, dim), (dim, dim), (dim // 8, dim))):
            stem = f"mask_decoder.output_hypernetworks_mlps.{token}.layers.{layer}"
            shapes |= {f"{stem}.weight": (rows, columns), f"{stem}.bias": (rows,)}
    for name, width in (("1", dim // 2), ("2", dim // 4)):
        context = f"mask_decoder.pimm.conv_blocks_context.{name}.residual_block"
        for doubling in range(int(name)):
            shapes[f"{context}.{doubling}.1.conv3.conv.weight"] = (width, width, 1, 1)
    return shapes
