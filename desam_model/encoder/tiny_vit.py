"""TinyViT with SAM's neck, frozen: LiteMedSAM's and MobileSAM's image encoder.

Written from the published structure; parameters have the names of the public code, so that its
files load strictly.

Source: Wu et al., TinyViT, ECCV 2022; `bowang-lab/MedSAM` (branch LiteMedSAM) and
`ChaoningZhang/MobileSAM`, `tiny_vit_sam.py` (Apache-2.0; sources.md S70, S71).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from desam_model.encoder.fingerprint import hash_of_file
from desam_model.encoder.frames import mean_std_frames, min_max_frames
from desam_model.encoder.frozen import FrozenEncoder
from desam_model.encoder.onednn import convolve, linear
from desam_model.encoder.sam_checkpoint import (
    PARTS,
    image_encoder_weights,
    read_weights,
    require_parts,
)
from desam_model.encoder.sam_vit_entries import PIXEL_MEAN, PIXEL_STD
from desam_model.encoder.tiny_vit_entries import MIN_MAX_PREPROCESSING, TinyViTSizes
from desam_model.types import Embedding

if TYPE_CHECKING:
    from pathlib import Path

    from desam_model.encoder.entry import Compute, EncoderEntry

_EXPANSION = 4
"""Width of the hidden layer of convolution blocks and MLPs, as a multiple of the stage's."""

_CLASSES = 1000
"""Outputs of MobileSAM's unused ImageNet classifier."""


class ConvNorm(nn.Sequential):
    """A convolution without bias and a batch norm, which `fold` merges."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.add_module("c", convolution)
        self.add_module("bn", nn.BatchNorm2d(out_channels))
        self.is_fused = False

    def fuse(self) -> None:
        """Merge the norm's running statistics into the convolution; the same map up to rounding."""
        convolution, norm = self.get_submodule("c"), self.get_submodule("bn")
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        self.c = fuse_conv_bn_eval(convolution, norm)
        self.bn = nn.Identity()
        self.is_fused = True

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to the next map."""
        return convolve(x, self.c) if self.is_fused else self.bn(self.c(x))

    def with_gelu(self, x: Tensor) -> Tensor:
        """`forward` and a GELU, in one pass if fused."""
        return convolve(x, self.c, gelu=True) if self.is_fused else functional.gelu(self(x))


class ConvBlock(nn.Module):
    """Inverted bottleneck: 1x1 to four times the width, depth-wise 3x3, 1x1 back, and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = _EXPANSION * width
        self.conv1 = ConvNorm(width, hidden)
        self.conv2 = ConvNorm(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = ConvNorm(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to the same shape."""
        out = self.conv2.with_gelu(self.conv1.with_gelu(x))
        return functional.gelu(self.conv3(out) + x)


class Reduction(nn.Module):
    """The end of a stage: 1x1 to the next width, depth-wise 3x3 with the stride, 1x1."""

    def __init__(self, width: int, next_width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, next_width)
        self.conv2 = ConvNorm(next_width, next_width, kernel=3, stride=stride, groups=next_width)
        self.conv3 = ConvNorm(next_width, next_width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to `(B, C', h / stride, w / stride)`."""
        reduced: Tensor = self.conv3(self.conv2.with_gelu(self.conv1.with_gelu(x)))
        return reduced


class WindowAttention(nn.Module):
    """Multi-head attention within a window, with a learned bias per distance and head."""

    offsets: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        # the bias of two tokens is that of their (|rows|, |columns|) apart, row-major; made on the
        # CPU, so that a module built on the meta device has the values
        rows = torch.arange(window**2, device="cpu") // window
        columns = torch.arange(window**2, device="cpu") % window
        apart = (rows[:, None] - rows).abs() * window + (columns[:, None] - columns).abs()
        self.register_buffer("offsets", apart, persistent=False)  # (T, T)
        self.is_fused = False

    def fuse(self) -> None:
        """Use the fastest kernels; the same map up to rounding."""
        self.is_fused = True

    def forward(self, x: Tensor) -> Tensor:
        """Windows `(n, T, C)` to the same shape."""
        n, tokens, width = x.shape
        apply = linear if self.is_fused else _call
        # the public code's order: for every head its query, key and value
        qkv = apply(self.norm(x), self.qkv).view(n, tokens, self.heads, 3, -1)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)  # (n, heads, T, d) each
        bias = self.attention_biases[:, self.offsets].to(q.dtype)
        if self.is_fused and x.device.type == "cpu":
            out = _attend(q, k, v, bias)
        else:
            out = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return apply(out.transpose(1, 2).reshape(n, tokens, width), self.proj)


def _call(x: Tensor, layer: nn.Linear) -> Tensor:
    mapped: Tensor = layer(x)
    return mapped


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attention as two batched products: on a CPU, torch's own searches a bias for masked rows."""
    n, heads, tokens, dim = q.shape
    q, k, v = (part.reshape(n * heads, tokens, dim) for part in (q, k, v))
    biases = bias.expand(n, -1, -1, -1).reshape(n * heads, tokens, tokens)
    weights = torch.baddbmm(biases, q, k.transpose(1, 2), alpha=dim**-0.5).softmax(dim=-1)
    return torch.bmm(weights, v).view(n, heads, tokens, dim)


class MLP(nn.Module):
    """Norm, linear to four times the width, GELU, linear back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, _EXPANSION * width)
        self.fc2 = nn.Linear(_EXPANSION * width, width)
        self.is_fused = False

    def fuse(self) -> None:
        """Use the fastest kernels; the same map up to rounding."""
        self.is_fused = True

    def forward(self, x: Tensor) -> Tensor:
        """`(..., C)` to the same shape."""
        if self.is_fused:
            return linear(linear(self.norm(x), self.fc1, gelu=True), self.fc2)
        out: Tensor = self.fc2(functional.gelu(self.fc1(self.norm(x))))
        return out


class AttentionBlock(nn.Module):
    """Windowed attention, a depth-wise convolution, and an MLP; the outer two with skips."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.mlp = MLP(width)
        self.local_conv = ConvNorm(width, width, kernel=3, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to the same shape."""
        x = x + self._attend(x)
        x = self.local_conv(x)
        mixed: Tensor = self.mlp(x.permute(0, 2, 3, 1))
        return x + mixed.permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        """Attention in windows; zeros below and right fill the last ones, and are attended to."""
        batch, width, height, columns = x.shape
        side = self.window
        tokens = functional.pad(
            x.permute(0, 2, 3, 1), (0, 0, 0, -columns % side, 0, -height % side)
        )
        down, across = tokens.shape[1] // side, tokens.shape[2] // side
        grid = tokens.view(batch, down, side, across, side, width).transpose(2, 3)
        out: Tensor = self.attn(grid.reshape(-1, side * side, width))
        out = out.view(batch, down, across, side, side, width).transpose(2, 3)
        out = out.reshape(batch, down * side, across * side, width)
        return out[:, :height, :columns].permute(0, 3, 1, 2)


class Stem(nn.Module):
    """Two convolutions from RGB to the width of the first stage."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        kernel = 3 if stride > 1 else 1
        self.seq = nn.Sequential(
            ConvNorm(3, width // 2, kernel, stride),
            nn.GELU(),
            ConvNorm(width // 2, width, kernel, stride),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 3, H, W)` to `(B, C, h, w)`."""
        first, _, second = self.seq
        assert isinstance(first, ConvNorm)
        out: Tensor = second(first.with_gelu(x))
        return out


class Stage(nn.Module):
    """Blocks of one width, and the reduction that ends all stages but the last."""

    def __init__(self, blocks: list[nn.Module], downsample: Reduction | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to the input of the next stage."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """A TinyViT with SAM's neck, which returns its last three stages and the neck.

    Args:
        sizes: Its sizes.
        neck_channels: Channels of the neck.
    """

    def __init__(self, sizes: TinyViTSizes, neck_channels: int) -> None:
        super().__init__()
        self.memory_format = torch.contiguous_format
        widths, last = sizes.widths, len(sizes.widths) - 1
        self.patch_embed = Stem(widths[0], sizes.stem_stride)
        self.layers = nn.ModuleList()
        for stage, (width, depth) in enumerate(zip(widths, sizes.depths, strict=True)):
            blocks: list[nn.Module] = [
                ConvBlock(width)
                if stage == 0
                else AttentionBlock(width, sizes.heads[stage], sizes.windows[stage])
                for _ in range(depth)
            ]
            stride = 2 if stage < 2 else 1  # the last reduction keeps the grid, for SAM's 64 x 64
            reduction = None if stage == last else Reduction(width, widths[stage + 1], stride)
            self.layers.append(Stage(blocks, reduction))
        self.neck = nn.Sequential(
            nn.Conv2d(widths[-1], neck_channels, 1, bias=False),
            LayerNorm2d(neck_channels),
            nn.Conv2d(neck_channels, neck_channels, 3, padding=1, bias=False),
            LayerNorm2d(neck_channels),
        )
        if sizes.has_classifier:  # in the file, and never run
            self.norm_head = nn.LayerNorm(widths[-1])
            self.head = nn.Linear(widths[-1], _CLASSES)

    def forward(self, frames: Tensor) -> Embedding:
        """The taps and the neck of frames `(B, 3, H, W)`."""
        frames = frames.contiguous(memory_format=self.memory_format)
        x = self.layers[0](self.patch_embed(frames))
        taps = []
        for stage in self.layers[1:]:
            x = stage(x)
            taps.append(x.contiguous())
        with torch.autocast(x.device.type, enabled=False):  # its error would affect all PRIM reads
            neck = self.neck(x.float())
        return Embedding(taps=tuple(taps), neck=neck.contiguous())

    def fuse(self) -> None:
        """Merge norms and GELUs into the maps before them, and keep channels last in memory.

        Two fifths less time on a CPU (measured with LiteMedSAM), the same output up to rounding.
        """
        for module in self.modules():
            if isinstance(module, ConvNorm | WindowAttention | MLP):
                module.fuse()
        self.to(memory_format=torch.channels_last)
        self.memory_format = torch.channels_last


class FrozenTinyViT(FrozenEncoder):
    """A frozen TinyViT with the frames of its family: min-max, or SAM's mean and deviation."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self, *, image_encoder: TinyViT, entry: EncoderEntry, fingerprint: str, compute: Compute
    ) -> None:
        super().__init__(entry=entry, fingerprint=fingerprint, compute=compute)
        self.image_encoder = image_encoder
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)
        self.freeze()

    def preprocess(self, image: Tensor) -> Tensor:
        """See `FrozenEncoder.preprocess`; the entry says which rule."""
        side = self.entry.input_px
        if self.entry.preprocessing == MIN_MAX_PREPROCESSING:
            return min_max_frames(image, side, self.pixel_mean.device)
        return mean_std_frames(image, side, self.pixel_mean, self.pixel_std)

    def maps(self, frames: Tensor) -> Embedding:
        """See `FrozenEncoder.maps`."""
        embedding: Embedding = self.image_encoder(frames)
        return embedding


def build(entry: EncoderEntry, checkpoint: Path | None, compute: Compute) -> FrozenTinyViT:
    """The TinyViT of an entry with its weights; see `registry.build_encoder`."""
    assert entry.weights is not None
    if checkpoint is None:
        raise ValueError(
            f"{entry.name} needs the file {entry.weights.filename}; {entry.weights.way}"
        )
    with torch.device("meta"):
        image_encoder = TinyViT(_sizes(entry), entry.neck.channels)
    weights = image_encoder_weights(checkpoint, entry, image_encoder.state_dict())
    image_encoder.load_state_dict(weights, assign=True)
    image_encoder.eval()
    if compute != "float32":
        image_encoder.fuse()
    return FrozenTinyViT(
        image_encoder=image_encoder,
        entry=entry,
        fingerprint=hash_of_file(checkpoint),
        compute=compute,
    )


def check_checkpoint(entry: EncoderEntry, path: Path) -> None:
    """Check that a file holds the encoder, the prompt encoder and the decoder of an entry.

    Raises:
        ValueError: The file is missing, truncated, not a checkpoint, or of another model.
    """
    require_parts(read_weights(path, entry), expected_state(entry), PARTS, path, entry)


def expected_state(entry: EncoderEntry) -> dict[str, Tensor]:
    """All names of an entry's checkpoint, with tensors on the meta device that have its shapes."""
    dim = entry.neck.channels
    with torch.device("meta"):
        parts = {
            "image_encoder": TinyViT(_sizes(entry), dim),
            "prompt_encoder": PromptEncoder(
                embed_dim=dim,
                image_embedding_size=entry.neck.grid_hw,
                input_image_size=(entry.input_px, entry.input_px),
                mask_in_chans=16,
            ),
            "mask_decoder": MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(
                    depth=2, embedding_dim=dim, mlp_dim=2048, num_heads=8
                ),
                transformer_dim=dim,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
        }
    return {
        f"{part}.{name}": value
        for part, module in parts.items()
        for name, value in module.state_dict().items()
    }


def _sizes(entry: EncoderEntry) -> TinyViTSizes:
    sizes = entry.sizes
    assert isinstance(sizes, TinyViTSizes)
    return sizes
