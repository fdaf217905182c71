"""Token pooling: maps are means over squares of tokens, and everything else stays."""

from __future__ import annotations

import pytest
import torch

from desam_model.encoder.registry import build_encoder, encoder_entry


@pytest.mark.parametrize("pool", [2, 4])
def test_pooled_maps_are_means_over_squares_of_tokens(pool):
    image = torch.randint(
        0, 256, (2, 1, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    plain, pooled = build_encoder("vit_tiny"), build_encoder("vit_tiny", pool=pool)
    full, small = plain(image), pooled(image)
    side = 8 // pool
    for whole, part in zip((*full.taps, full.neck), (*small.taps, small.neck), strict=True):
        assert part.shape == (*whole.shape[:2], side, side)
        means = whole.unflatten(3, (side, pool)).unflatten(2, (side, pool)).mean((3, 5))
        assert torch.allclose(part, means, atol=1e-5)
    assert [tap.shape for tap in pooled.entry.taps] == [tap.shape[1:] for tap in small.taps]
    assert pooled.entry.input_px == plain.entry.input_px
    assert pooled.fingerprint == plain.fingerprint
    assert not any(parameter.requires_grad for parameter in pooled.parameters())


def test_a_side_that_is_not_allowed_is_refused():
    with pytest.raises(ValueError, match="pool is 3, expected one of 1, 2, 4"):
        build_encoder("vit_tiny", pool=3)
    with pytest.raises(ValueError, match="does not divide the grid 2 x 2 of vit_tiny"):
        encoder_entry("vit_tiny").pooled(4).pooled(4)
