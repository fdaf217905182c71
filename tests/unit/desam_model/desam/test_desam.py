"""DeSAM's parts and their switches: shapes, sizes, gradients, decoupling."""

from __future__ import annotations

import pytest
import torch

from desam_model.desam.ablation import Ablation
from desam_model.desam.checkpoint import reference_state_dict
from desam_model.desam.desam import DeSAM, build_desam
from desam_model.desam.pdmm import PDMM
from desam_model.desam.prim import PRIM, default_heads
from desam_model.desam.prompts import PromptTokens
from desam_model.types import Batch, Embedding, PredictionSettings, Prompt


def embedding_of(size=2, taps=12, neck=16, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(size, c, side, side, generator=generator) for c in (taps, taps, taps, neck)]
    return Embedding(taps=tuple(maps[:3]), neck=maps[3])


def batch_of(size=2):
    reference = torch.zeros(size, 1, 32, 32)
    reference[:, :, 8:20, 10:22] = 1
    return Batch(reference=reference, embedding=embedding_of(size))


@pytest.mark.parametrize(
    ("channels", "count"), [(1280, 9_756_864), (1024, 8_609_984), (768, 7_463_104)]
)
def test_parameters_are_the_releases_less_those_it_never_uses(channels, count):
    with torch.device("meta"):
        pdmm = PDMM(tap_channels=channels, dim=256)
    # 1x1 shortcuts beside an identity (128, 64 and 64 wide) and the head for deep supervision
    unused = 128 * 128 + 64 * 64 + 64 * 64 + 128
    assert sum(p.numel() for p in pdmm.parameters()) + unused == count


@pytest.mark.parametrize("channels", [768, 1024, 1280])
def test_shapes_at_sam_widths(channels):
    with torch.device("meta"):
        pdmm = PDMM(tap_channels=channels, dim=256)
        taps = tuple(torch.empty(2, channels, 64, 64) for _ in range(3))
        context = pdmm.context(taps)
        logits = pdmm(taps, torch.empty(2, 256, 64, 64))
    assert [tuple(part.shape) for part in context] == [
        (2, 256, 64, 64),
        (2, 128, 128, 128),
        (2, 64, 256, 256),
    ]
    assert logits.shape == (2, 1, 256, 256)


def test_prim_has_sams_sizes_at_sams_width():
    prim = PRIM(dim=256)
    assert prim.transformer.num_heads == 8
    assert prim.transformer.mlp_dim == 2048
    assert prim.iou_prediction_head.layers[0].out_features == 256
    assert default_heads(64) == 4


def test_decode_gives_logits_and_iou(small_desam):
    model = small_desam()
    logits, iou = model.decode(embedding_of(3), Prompt.points(torch.full((3, 1, 2), 60.0)))
    assert logits.shape == (3, 1, 32, 32)
    assert iou.shape == (3, 1)


def test_another_prompt_changes_the_iou_and_without_mask_embedding_not_the_mask(small_desam):
    embedding = embedding_of(1)
    prompts = [Prompt.points(torch.full((1, 1, 2), at)) for at in (10.0, 100.0)]
    for ablation, mask_changes in (("full", True), ("iou_head", False)):
        with torch.no_grad():
            pairs = [small_desam(ablation=ablation).decode(embedding, p) for p in prompts]
        assert not torch.equal(pairs[0][1], pairs[1][1])
        assert torch.equal(pairs[0][0], pairs[1][0]) is not mask_changes


def test_context_does_not_depend_on_the_mask_embedding(small_desam):
    pdmm = small_desam().pdmm
    embedding = embedding_of(1)
    zero = torch.zeros_like(embedding.neck)
    context = pdmm.context(embedding.taps)
    assert torch.equal(pdmm.decode(context, zero), pdmm(embedding.taps, zero))


@pytest.mark.parametrize("mode", ["grid_points", "whole_box"])
@pytest.mark.parametrize("ablation", list(Ablation))
def test_every_trainable_weight_moves_and_no_frozen_one(small_desam, ablation, mode):
    model = small_desam(ablation=ablation, prompt_mode=mode)
    losses = model.training_loss(batch_of(), torch.Generator().manual_seed(0))
    losses.total.backward()
    still = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    }
    if mode == "whole_box" and ablation is Ablation.IOU_HEAD:
        # a whole box is rated by nothing, and without fusion PRIM then has no part in the loss
        assert all(name.startswith("prim.") for name in still)
    else:
        assert not still
    assert all(p.grad is None for p in model.prompts.parameters())
    torch.testing.assert_close(losses.total.detach(), sum(losses.parts.values()))


def test_loss_parts_follow_profile_and_mode(small_desam):
    def parts(**options):
        generator = torch.Generator().manual_seed(0)
        return set(small_desam(**options).training_loss(batch_of(), generator).parts)

    assert parts() == {"dice", "ce", "iou"}
    assert parts(loss_profile="released") == {"dice", "iou"}
    assert parts(prompt_mode="whole_box") == {"dice", "ce"}
    assert parts(ablation="mask_embedding") == {"dice", "ce"}
    assert parts(ablation="pdmm_only") == {"dice", "ce"}


def test_training_points_from_the_grid_change_the_loss(small_desam):
    def loss(points):
        model = small_desam(training_points=points)
        return model.training_loss(batch_of(), torch.Generator().manual_seed(0)).total.item()

    assert loss("grid") != loss("uniform")


def test_the_four_ablations_predict_differently(small_desam):
    from desam_model.types import PredictionSettings

    settings = PredictionSettings(grid_size=3, iou_threshold=-99)
    masks = [small_desam(ablation=a).predict(batch_of(), settings).mask for a in Ablation]
    assert all(not torch.equal(masks[0], other) for other in masks[2:])


def test_the_seed_fixes_the_weights_and_the_global_state_is_left_alone(small_desam):
    before = torch.random.get_rng_state()
    one, same, other = small_desam(seed=1), small_desam(seed=1), small_desam(seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.pdmm.head.weight, same.pdmm.head.weight)
    assert not torch.equal(one.pdmm.head.weight, other.pdmm.head.weight)


def test_parts_that_do_not_fit_the_ablation_are_refused():
    parts = {"prompts": PromptTokens(dim=16, grid_hw=(8, 8)), "prim": PRIM(dim=16)}
    with pytest.raises(ValueError, match="pdmm_only must have no PRIM"):
        DeSAM(**parts, pdmm=PDMM(tap_channels=4, dim=16, fuses_mask=False), ablation="pdmm_only")
    with pytest.raises(ValueError, match="fuses_mask=True"):
        DeSAM(**parts, pdmm=PDMM(tap_channels=4, dim=16, fuses_mask=False), ablation="full")


def test_taps_of_another_encoder_are_refused(small_desam):
    with pytest.raises(ValueError, match="3 taps with 12, 12, 12 channels"):
        small_desam().pdmm.context(embedding_of(taps=10).taps)
    with pytest.raises(ValueError, match="there are 2 taps, expected 3"):
        build_desam(tap_channels=(4, 4), neck_channels=16, grid_hw=(8, 8), input_px=128)


@pytest.mark.parametrize("scales", [(1, 1, 1), (4, 2, 1), (2, 1, 1)])
def test_taps_of_other_channels_and_grids_give_the_same_sizes(scales):
    channels = (6, 8, 10)
    pdmm = PDMM(tap_channels=channels, tap_scales=scales, dim=16)
    taps = tuple(
        torch.randn(2, width, 4 * scale, 4 * scale)
        for width, scale in zip(channels, scales, strict=True)
    )
    assert pdmm(taps, torch.randn(2, 16, 4, 4)).shape == (2, 1, 16, 16)


def test_a_tap_with_a_grid_larger_than_its_level_is_refused():
    with pytest.raises(ValueError, match="grid of tap 2 is 2 times the neck's, expected 1 or"):
        PDMM(tap_channels=4, tap_scales=(4, 2, 2), dim=16)
    grids = [(8, 8), (8, 8), (12, 12)]
    with pytest.raises(ValueError, match="grid of tap 2 is 0 times"):
        build_desam(tap_channels=4, tap_grids=grids, neck_channels=16, grid_hw=(8, 8), input_px=64)


def test_a_batch_without_embeddings_is_refused(small_desam):
    with pytest.raises(ValueError, match="needs embeddings, but this batch has none"):
        small_desam().validation_loss(Batch(reference=torch.zeros(1, 1, 32, 32)))


def test_an_ablation_has_no_released_form(small_desam):
    with pytest.raises(ValueError, match="no released form"):
        reference_state_dict(small_desam(ablation="iou_head"))


def test_the_loss_is_taken_at_the_logits_size_and_resamples_nothing_where_sizes_agree(small_desam):
    from desam_model.desam.losses import LossProfile, mask_loss_parts
    from desam_model.desam.prompts import rc_to_frame_xy, validation_points_rc

    model = small_desam()
    batch = batch_of()
    points = rc_to_frame_xy(validation_points_rc(batch.reference), (32, 32), (128, 128))
    with torch.no_grad():
        logits, _ = model.decode(batch.embedding, Prompt.points(points[:, None]))
        parts = mask_loss_parts(logits, batch.reference, LossProfile.PAPER)
        torch.testing.assert_close(model.validation_loss(batch), sum(parts.values()))
        fine = torch.nn.functional.interpolate(batch.reference, scale_factor=2)
        doubled = Batch(reference=fine, embedding=batch.embedding)
        torch.testing.assert_close(model.validation_loss(doubled), model.validation_loss(batch))


def ablated(ablation: Ablation, seed: int = 0) -> DeSAM:
    return build_desam(
        tap_channels=12,
        neck_channels=16,
        grid_hw=(8, 8),
        input_px=128,
        ablation=ablation,
        seed=seed,
    )


def test_ablations_of_one_seed_start_from_the_same_weights_where_they_share_a_part():
    full = ablated(Ablation.FULL).state_dict()
    for ablation in Ablation:
        own = ablated(ablation).state_dict()
        assert own.keys() <= full.keys()
        assert all(torch.equal(own[name], full[name]) for name in own)
    other = ablated(Ablation.FULL, seed=1).state_dict()
    assert any(not torch.equal(other[name], full[name]) for name in full)


def test_iou_head_differs_from_pdmm_only_by_nothing_but_the_gate():
    """Trained alike with one seed, both have the same PDMM, weight for weight."""
    trained = {}
    for ablation in (Ablation.PDMM_ONLY, Ablation.IOU_HEAD):
        model = ablated(ablation)
        draws = torch.Generator().manual_seed(3)
        weights = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(weights, lr=1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            model.training_loss(batch_of(2), draws).total.backward()
            optimizer.step()
        trained[ablation] = model.pdmm.state_dict()
    gated, plain = trained[Ablation.IOU_HEAD], trained[Ablation.PDMM_ONLY]
    start = ablated(Ablation.PDMM_ONLY).pdmm.state_dict()
    assert all(torch.equal(gated[name], plain[name]) for name in plain)
    assert not torch.equal(plain["head.weight"], start["head.weight"])


def test_the_used_prompts_are_those_of_the_prediction(small_desam):
    settings = PredictionSettings(grid_size=3, iou_threshold=-99.0)
    method, batch = small_desam().eval(), batch_of()
    used = method.used_prompts(batch, settings)
    rated = used.predicted_iou[torch.arange(2), used.chosen]
    torch.testing.assert_close(
        rated, method.predict(batch, settings).predicted_iou, rtol=1e-5, atol=1e-5
    )
    assert used.predicted_iou.shape == (2, 9)
    assert used.points_xy[4].tolist() == [16.0, 16.0]  # the centre of a slice of 32 px
    whole = small_desam(prompt_mode="whole_box").eval().used_prompts(batch, settings)
    assert whole.boxes_xyxy.tolist() == [[0.0, 0.0, 32.0, 32.0]] * 2
    unrated = small_desam(ablation="mask_embedding").eval().used_prompts(batch, settings)
    assert (unrated.predicted_iou, unrated.chosen, len(unrated.points_xy)) == (None, None, 9)
    assert small_desam(ablation="pdmm_only").eval().used_prompts(batch, settings) is None
