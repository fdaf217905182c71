from __future__ import annotations

import pytest
import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer

from desam_model.comparisons.medsam import build_medsam, load_sam_weights
from desam_model.desam.prompts import grid_points_xy, reference_boxes, whole_box_xyxy
from desam_model.types import Batch, Embedding, PredictionSettings, Prompt

GRID = 8
DIM = 32


@pytest.fixture
def batch(generator):
    reference = torch.zeros(3, 1, 64, 64)
    reference[:, :, 10:30, 20:50] = 1
    embedding = Embedding(taps=(), neck=torch.randn(3, DIM, GRID, GRID, generator=generator))
    return Batch(reference=reference, embedding=embedding)


def make(prompt="whole_box", **options):
    return build_medsam(
        neck_channels=DIM, grid_hw=(GRID, GRID), input_px=GRID * 16, prompt=prompt, **options
    )


def test_only_the_mask_decoder_gets_gradients(batch, generator):
    method = make()
    method.training_loss(batch, generator).total.backward()
    touched = {n.split(".")[0] for n, p in method.named_parameters() if p.grad is not None}
    assert touched == {"decoder"}


def test_low_resolution_logits_have_four_times_the_grids_side(batch):
    method = make()
    box = Prompt.boxes(whole_box_xyxy(3, (GRID * 16, GRID * 16)))
    logits, rating = method.decode(batch.embedding, box)
    assert logits.shape == (3, 1, 4 * GRID, 4 * GRID)
    assert rating.shape == (3, 1)


def test_before_training_it_says_what_sams_own_decoder_says(batch):
    method = make()
    xyxy = whole_box_xyxy(3, (GRID * 16, GRID * 16))
    logits, rating = method.decode(batch.embedding, Prompt.boxes(xyxy))
    encoder = method.prompts.encoder
    for i in range(3):
        sparse, dense = encoder(points=None, boxes=xyxy[i : i + 1], masks=None)
        expected, iou = method.decoder(
            image_embeddings=batch.embedding.neck[i : i + 1],
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        assert torch.allclose(logits[i : i + 1], expected, atol=1e-4)
        assert torch.allclose(rating[i : i + 1], iou, atol=1e-4)


def test_sams_weights_are_read_by_their_own_names():
    transformer = TwoWayTransformer(depth=2, embedding_dim=DIM, num_heads=2, mlp_dim=DIM)
    decoder = MaskDecoder(transformer_dim=DIM, transformer=transformer, iou_head_hidden_dim=DIM)
    prompts = PromptEncoder(DIM, (GRID, GRID), (GRID * 16, GRID * 16), 16)
    checkpoint = {f"mask_decoder.{k}": v for k, v in decoder.state_dict().items()}
    checkpoint |= {f"prompt_encoder.{k}": v for k, v in prompts.state_dict().items()}
    checkpoint |= {"image_encoder.pos_embed": torch.zeros(1)}
    method = make()
    load_sam_weights(method, checkpoint)
    own = method.state_dict()
    assert torch.equal(own["decoder.mask_tokens.weight"], decoder.mask_tokens.weight)
    assert torch.equal(own["prompts.encoder.no_mask_embed.weight"], prompts.no_mask_embed.weight)


def test_a_checkpoint_of_other_sizes_is_refused():
    with pytest.raises(ValueError, match="does not match SAM's"):
        load_sam_weights(make(), {"mask_decoder.iou_token.weight": torch.zeros(1, 4)})


def test_training_boxes_contain_the_mask_and_stay_inside_the_image(generator):
    reference = torch.zeros(40, 1, 64, 64)
    reference[:, :, 2:30, 20:62] = 1
    margins = torch.randint(20, (40, 4), generator=generator).float()
    boxes = reference_boxes(reference, margins)
    assert (boxes[:, 0] <= 20).all()
    assert (boxes[:, 1] <= 2).all()
    assert (boxes[:, 2] >= 62).all()
    assert (boxes[:, 3] >= 30).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 64


def test_a_tight_box_ends_where_the_mask_ends_and_an_empty_mask_gets_the_whole_image(batch):
    assert reference_boxes(batch.reference)[0].tolist() == [20, 10, 50, 30]
    empty = torch.zeros(1, 1, 64, 48)
    assert reference_boxes(empty)[0].tolist() == [0, 0, 48, 64]


def test_a_whole_box_needs_neither_the_reference_nor_the_grid_in_test(batch):
    method = make().eval()
    other = Batch(reference=torch.zeros_like(batch.reference), embedding=batch.embedding)
    with torch.no_grad():
        masks = [
            method.predict(b, PredictionSettings(grid_size=g)).mask
            for b, g in ((batch, 3), (other, 9))
        ]
    assert torch.equal(*masks)


def test_a_grid_prompt_below_the_threshold_makes_no_mask(batch):
    method = make("grid").eval()
    with torch.no_grad():
        prediction = method.predict(batch, PredictionSettings(grid_size=3, iou_threshold=1e6))
        rated = method.predict(batch, PredictionSettings(grid_size=3, iou_threshold=-1e6))
    assert not prediction.mask.any()
    assert torch.isfinite(rated.predicted_iou).all()


def test_the_best_rated_point_of_the_grid_is_the_prompt(batch):
    method = make("grid").eval()
    with torch.no_grad():
        best = method.predict(batch, PredictionSettings(grid_size=4, iou_threshold=-1e6))
        ratings = []
        for xy in grid_points_xy(4, (GRID * 16, GRID * 16)):
            point = Prompt.points(xy.expand(3, 1, 2))
            ratings.append(method.decode(batch.embedding, point)[1][:, 0])
    assert torch.allclose(best.predicted_iou, torch.stack(ratings).amax(dim=0), atol=1e-5)


def test_the_released_losses_leave_cross_entropy_out(batch, generator):
    assert set(make().training_loss(batch, generator).parts) == {"dice", "ce"}
    released = make(loss_profile="released").training_loss(batch, generator)
    assert set(released.parts) == {"dice"}


def test_the_used_prompts_are_those_of_the_prediction(batch):
    settings = PredictionSettings(grid_size=4, iou_threshold=-1e6)
    method = make("grid").eval()
    used = method.used_prompts(batch, settings)
    rated = used.predicted_iou[torch.arange(3), used.chosen]
    assert torch.allclose(rated, method.predict(batch, settings).predicted_iou, atol=1e-5)
    assert used.points_xy[0].tolist() == [8.0, 8.0]  # an eighth of a slice of 64 px
    box = make("gt_box").eval().used_prompts(batch, settings).boxes_xyxy
    assert box.tolist() == [[20.0, 10.0, 50.0, 30.0]] * 3
    assert make().eval().used_prompts(batch, settings).boxes_xyxy.tolist() == [[0, 0, 64, 64]] * 3
