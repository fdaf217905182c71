"""Names of our weights in the authors' and in SAM's state dicts, and loading by these names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from desam_model.checkpoint_file import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

Weights = dict[str, "Tensor"]

# Ours on the left, the authors' on the right; longer names first
_RENAMES = (
    (r"^prompts\.encoder\.", "prompt_encoder."),
    (r"^prim\.", "mask_decoder."),
    (r"^pdmm\.fusion\.", "mask_decoder.pimm.mask_embedding_fusion."),
    (r"^pdmm\.context_bottom\.", "mask_decoder.pimm.conv_blocks_context.0."),
    (r"^pdmm\.context_middle\.", "mask_decoder.pimm.conv_blocks_context.1."),
    (r"^pdmm\.context_top\.", "mask_decoder.pimm.conv_blocks_context.2."),
    (r"^pdmm\.up1\.", "mask_decoder.pimm.conv_blocks_localization.0."),
    (r"^pdmm\.up2\.", "mask_decoder.pimm.conv_blocks_localization.1."),
    (r"^pdmm\.head\.", "mask_decoder.pimm.seg_outputs.1."),
    (r"(context\.\d)\.block\.", r"\1.block_init."),
    (r"(context\.\d)\.ups\.(\d+)\.", r"\1.residual_block.\2.0.conv."),
    (r"(context\.\d)\.blocks\.(\d+)\.", r"\1.residual_block.\2.1."),
    (r"(localization\.\d)\.up\.", r"\1.transp_conv.conv."),
    (r"(localization\.\d)\.block\.", r"\1.res_block."),
    (r"(pimm\..*)\.conv([12])\.weight$", r"\1.conv\2.conv.weight"),
    (r"(pimm\..*)\.shortcut\.weight$", r"\1.conv3.conv.weight"),
    (r"\.se\.squeeze\.", ".se.fc.0."),
    (r"\.se\.excite\.", ".se.fc.2."),
)


def reference_name(name: str) -> str:
    """The authors' name of one of our weights, `pdmm.head.weight` -> `mask_decoder.pimm...`."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def load_sam_decoder(
    model: nn.Module, path_or_state_dict: Path | str | Mapping[str, Tensor]
) -> None:
    """Initialise PRIM and the frozen prompt encoder from a SAM checkpoint; PDMM is unchanged.

    Args:
        model: A DeSAM with the widths of the checkpoint (256 for SAM's own).
        path_or_state_dict: SAM's `.pth` file, or its content.

    Raises:
        ValueError: The file cannot be read, or a weight is missing or has another shape.

    Source:
        DeSAM loads SAM's checkpoint with `strict=False` (sources.md S18).
    """
    weights = read_state_dict(path_or_state_dict)
    pretrained = {
        name: matching_weight(weights, reference_name(name), tensor, "SAM's checkpoint")
        for name, tensor in model.state_dict().items()
        if name.startswith(("prim.", "prompts."))
    }
    model.load_state_dict(pretrained, strict=False)


def read_state_dict(source: Path | str | Mapping[str, Tensor]) -> Weights:
    """The weights, without a `model` wrapper or `module.` prefixes."""
    saved = (
        read_checkpoint(Path(source), is_mapped=True)
        if isinstance(source, (str, Path))
        else dict(source)
    )
    weights = saved.get("model", saved)
    return {str(name).removeprefix("module."): value for name, value in dict(weights).items()}


def matching_weight(weights: Mapping[str, Tensor], name: str, like: Tensor, origin: str) -> Tensor:
    """The weight of that name, with the shape and precision of `like`.

    Raises:
        ValueError: It is missing or has another shape; the message starts with `origin`.
    """
    weight = weights.get(name)
    if weight is None:
        raise ValueError(f"{origin}: {name} is missing, expected shape {tuple(like.shape)}")
    if weight.shape != like.shape:
        raise ValueError(
            f"{origin}: {name} has shape {tuple(weight.shape)}, expected {tuple(like.shape)}"
        )
    return weight.to(like.dtype)
