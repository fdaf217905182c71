"""Grids, boxes, training points, and where their tokens think they are."""

from __future__ import annotations

import pytest
import torch

from desam_model.desam.prompts import (
    PromptTokens,
    grid_points_xy,
    grid_training_points_rc,
    rc_to_frame_xy,
    uniform_points_rc,
    validation_points_rc,
    whole_box_xyxy,
)
from desam_model.types import Prompt


def reference_of(count=400, fill=(slice(4, 12), slice(3, 10))):
    reference = torch.zeros(count, 1, 16, 24)
    reference[:, :, fill[0], fill[1]] = 1
    return reference


def in_mask(reference, points_rc):
    return reference[torch.arange(len(reference)), 0, points_rc[:, 0], points_rc[:, 1]] > 0


def test_nine_by_nine_points_are_distinct_and_none_is_on_the_border():
    points = grid_points_xy(9, (1024, 1024))
    assert len({tuple(point) for point in points.tolist()}) == 81
    assert points.min() > 0
    assert points.max() < 1024
    assert points[0].tolist() == pytest.approx([1024 / 18, 1024 / 18])
    assert points[1].tolist() == pytest.approx([3 * 1024 / 18, 1024 / 18])


def test_a_grid_of_one_is_the_centre_and_points_scale_with_the_frame():
    assert grid_points_xy(1, (64, 128)).tolist() == [[64.0, 32.0]]
    torch.testing.assert_close(4 * grid_points_xy(5, (256, 256)), grid_points_xy(5, (1024, 1024)))


def test_a_grid_without_points_is_refused():
    with pytest.raises(ValueError, match="grid_size is 0"):
        grid_points_xy(0, (8, 8))


@pytest.mark.parametrize("draw", [uniform_points_rc, lambda r, g: grid_training_points_rc(r, g, 5)])
def test_half_of_the_training_points_are_inside(draw):
    reference = reference_of()
    inside = in_mask(reference, draw(reference, torch.Generator().manual_seed(0)))
    assert 0.42 < inside.float().mean() < 0.58


def test_training_points_are_uniform_on_each_side():
    reference = reference_of(20_000)
    points = uniform_points_rc(reference, torch.Generator().manual_seed(1))
    inside = in_mask(reference, points)
    counts = torch.zeros(16, 24)
    counts.index_put_((points[:, 0], points[:, 1]), torch.ones(len(points)), accumulate=True)
    is_foreground = reference[0, 0] > 0
    assert (counts > 0).all()
    for side, drawn in ((is_foreground, inside.sum()), (~is_foreground, (~inside).sum())):
        expected = drawn / side.sum()
        assert (counts[side] - expected).abs().max() < 6 * expected**0.5


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_slice_with_one_side_only_still_gets_a_point(value):
    reference = torch.full((8, 1, 16, 24), value)
    for draw in (uniform_points_rc, lambda r, g: grid_training_points_rc(r, g, 3)):
        points = draw(reference, torch.Generator().manual_seed(0))
        assert points.shape == (8, 2)
        assert (points >= 0).all()
        assert (points < torch.tensor([16, 24])).all()


def test_grid_training_points_lie_on_the_grid():
    points = grid_training_points_rc(reference_of(), torch.Generator().manual_seed(0), 4)
    assert {tuple(p) for p in points.flip(-1).tolist()} <= {
        tuple(p) for p in grid_points_xy(4, (16, 24)).long().tolist()
    }


def test_splitting_a_batch_draws_the_same_points():
    reference = reference_of(30)
    whole = uniform_points_rc(reference, torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    parts = [uniform_points_rc(part, generator) for part in reference.split(7)]
    assert torch.equal(whole, torch.cat(parts))


def test_the_validation_point_is_inside_and_always_the_same():
    reference = reference_of(3)
    points = validation_points_rc(reference)
    assert in_mask(reference, points).all()
    assert torch.equal(points, validation_points_rc(reference))


def test_columns_become_x_and_scale_to_the_frame():
    points = rc_to_frame_xy(torch.tensor([[10, 200]]), (256, 256), (1024, 1024))
    assert points.tolist() == [[800.0, 40.0]]


def test_the_whole_box_has_the_frame_as_corners():
    assert whole_box_xyxy(2, (64, 128)).tolist() == [[0.0, 0.0, 128.0, 64.0]] * 2


def test_tokens_follow_the_frame_of_the_embedding():
    torch.manual_seed(0)
    tokens = PromptTokens(dim=16, grid_hw=(8, 8))
    small = tokens.sparse(Prompt.points(torch.tensor([[[30.0, 50.0]]])), (8, 8))
    # the same place of a frame twice as large; SAM shifts by half a pixel of the frame it is in
    large = tokens.sparse(Prompt.points(torch.tensor([[[60.5, 100.5]]])), (16, 16))
    assert small.shape == (1, 2, 16)
    torch.testing.assert_close(small, large, rtol=1e-5, atol=1e-5)
    box = tokens.sparse(Prompt.boxes(torch.tensor([[0.0, 0.0, 128.0, 128.0]])), (8, 8))
    wide = tokens.sparse(Prompt.boxes(torch.tensor([[0.5, 0.5, 256.5, 256.5]])), (16, 16))
    torch.testing.assert_close(box, wide, rtol=1e-5, atol=1e-5)


def test_the_prompt_encoder_is_frozen():
    assert not any(p.requires_grad for p in PromptTokens(dim=16, grid_hw=(8, 8)).parameters())


def test_misshapen_prompts_are_refused():
    with pytest.raises(ValueError, match=r"expected \(B, N, 2\)"):
        Prompt.points(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"expected \(B, 4\)"):
        Prompt.boxes(torch.zeros(3, 2))
