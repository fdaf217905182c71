"""One suite for every `SegmentationMethod`: whoever passes it can be swept, resumed and compared.

A new method adds one line to `METHODS`; a test fails for one that does not.
"""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, get_args

import pytest
import torch

from desam_model.comparisons.advbias import AdvBias
from desam_model.comparisons.advnoise import AdvNoise
from desam_model.comparisons.csdg import CSDG
from desam_model.comparisons.image.harness import official_harness, unified_harness
from desam_model.comparisons.maxstyle import MaxStyle
from desam_model.comparisons.medsam import build_medsam
from desam_model.comparisons.mixstyle import MixStyle
from desam_model.comparisons.randconv import RandConv
from desam_model.comparisons.unet import UNetBaseline
from desam_model.desam.desam import build_desam
from desam_model.training.fit import Schedule, fit
from desam_model.types import Batch, Embedding, PredictionSettings, Reads, Slice
from sweeper.config.methods import MethodConfig
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from desam_model.comparisons.image.harness import Harness, Recipe
    from desam_model.method import SegmentationMethod
    from desam_model.types import Losses


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny tensors: threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SETTINGS = PredictionSettings(grid_size=3, min_region_px=0)
GRID = 8


def small_harness(channels: int, *, image_decoder: bool = False):
    return unified_harness(image_channels=channels, width=4, stages=3, image_decoder=image_decoder)


def official(channels: int, recipe: Recipe) -> Harness:
    return official_harness(recipe, image_channels=channels)


def medsam(prompt: str):
    return build_medsam(neck_channels=16, grid_hw=(GRID, GRID), input_px=GRID * 16, prompt=prompt)


def desam(**options):
    return build_desam(
        tap_channels=8, neck_channels=16, grid_hw=(GRID, GRID), input_px=GRID * 16, **options
    )


def upper_bound(channels: int) -> SegmentationMethod:
    """It has no class of its own, so it is built as a search space builds it."""
    method = {"name": "upper_bound", "network": {"width": 4, "stages": 3}}
    config = TrialConfig.model_validate({"source": "A", "method": method})
    return build_method(config, Sizes(image_channels=channels), seed=7)


METHODS: dict[str, Callable[[int], SegmentationMethod]] = {
    "unet": lambda channels: UNetBaseline(harness=small_harness(channels)),
    "upper_bound": upper_bound,
    "randconv": lambda channels: RandConv(harness=small_harness(channels)),
    "mixstyle": lambda channels: MixStyle(harness=small_harness(channels), probability=1),
    "csdg": lambda channels: CSDG(harness=small_harness(channels)),
    "advnoise": lambda channels: AdvNoise(harness=small_harness(channels)),
    "advbias": lambda channels: AdvBias(harness=small_harness(channels)),
    "maxstyle": lambda channels: MaxStyle(
        harness=small_harness(channels, image_decoder=True), probability=1, iterations=2
    ),
    "unet official": lambda channels: UNetBaseline(harness=official(channels, "nnunet")),
    "maxstyle official": lambda channels: MaxStyle(
        harness=official(channels, "maxstyle_family"), probability=1, iterations=1
    ),
    "randconv official": lambda channels: RandConv(
        harness=official(channels, "maxstyle_family"), supervise_augmented=False
    ),
    "medsam": lambda channels: medsam("whole_box"),
    "medsam grid": lambda channels: medsam("grid"),
    "medsam gt_box": lambda channels: medsam("gt_box"),
    "desam grid_points": lambda channels: desam(prompt_mode="grid_points"),
    "desam whole_box": lambda channels: desam(prompt_mode="whole_box"),
    "desam pdmm_only": lambda channels: desam(ablation="pdmm_only"),
}


def make(name: str, channels: int = 1) -> SegmentationMethod:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return METHODS[name](channels)


def make_batch(size: int = 3, channels: int = 1, hw: tuple[int, int] = (32, 32)) -> Batch:
    generator = torch.Generator().manual_seed(size)
    reference = torch.zeros(size, 1, *hw)
    reference[:, :, 8:20, 6:22] = 1
    image = 0.5 * torch.rand(size, channels, *hw, generator=generator) + 0.4 * reference
    embedding = Embedding(
        taps=tuple(torch.randn(size, 8, GRID, GRID, generator=generator) for _ in range(3)),
        neck=torch.randn(size, 16, GRID, GRID, generator=generator),
    )
    return Batch(reference=reference, image=image, embedding=embedding)


def only_what_it_reads(method: SegmentationMethod, batch: Batch) -> Batch:
    return Batch(
        reference=batch.reference,
        image=batch.image if Reads.IMAGE in method.reads else None,
        embedding=batch.embedding if Reads.EMBEDDING in method.reads else None,
    )


def step(method: SegmentationMethod, batch: Batch, seed: int = 0) -> Losses:
    method.train()
    generator = torch.Generator().manual_seed(seed)
    return method.training_loss(only_what_it_reads(method, batch), generator)


def predicted(method: SegmentationMethod, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    method.eval()
    with torch.no_grad():
        prediction = method.predict(only_what_it_reads(method, batch), SETTINGS)
    return prediction.mask, prediction.predicted_iou


def train_steps(
    method: SegmentationMethod, optimizer: torch.optim.Optimizer, generator: torch.Generator, n: int
) -> list[float]:
    method.train()
    losses = []
    for _ in range(n):
        optimizer.zero_grad()
        loss = method.training_loss(only_what_it_reads(method, make_batch()), generator).total
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def make_slices(cases: int, seed: int) -> list[Slice]:
    """Two slices a case."""
    batch = make_batch(2 * cases)
    generator = torch.Generator().manual_seed(seed)
    return [
        Slice(
            case=f"case-{seed}-{i // 2}",
            domain="A",
            structure="prostate",
            z=i % 2,
            is_last_foreground=i % 2 == 1,
            spacing_mm=(3.0, 1.0, 1.0),
            reference=batch.reference[i, 0].to(torch.uint8),
            image=torch.randint(0, 256, (1, 32, 32), generator=generator, dtype=torch.uint8),
            embedding=Embedding(
                taps=tuple(t[i] for t in batch.embedding.taps), neck=batch.embedding.neck[i]
            ),
        )
        for i in range(2 * cases)
    ]


def test_every_method_that_a_search_space_can_name_passes_this_suite():
    configs = get_args(get_args(MethodConfig)[0])
    names = {config.model_fields["name"].default for config in configs}
    assert names <= {label.split()[0] for label in METHODS}, "add a line to METHODS"


NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name.endswith("official") else name
    for name in METHODS
]  # the papers' own networks are full-sized


def interrupt(_: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", NAMES)
class TestEveryMethod:
    def test_loss_is_a_finite_scalar_and_the_sum_of_its_parts(self, name):
        losses = step(make(name), make_batch())
        assert losses.total.ndim == 0
        assert torch.isfinite(losses.total)
        assert torch.stack([p.float() for p in losses.parts.values()]).sum() == pytest.approx(
            losses.total.item(), rel=1e-4
        )
        assert not any(part.requires_grad for part in losses.parts.values())

    def test_every_trained_parameter_gets_a_gradient_and_no_other_does(self, name):
        method = make(name)
        step(method, make_batch()).total.backward()
        trained = {id(p) for p in method.trainable_parameters()}
        assert trained
        for label, parameter in method.named_parameters():
            if id(parameter) in trained:
                assert parameter.grad is not None, label
            else:
                assert parameter.grad is None, label

    def test_training_flags_are_as_before_after_a_step(self, name):
        method = make(name).train()
        before = [p.requires_grad for p in method.parameters()]
        modes = [m.training for m in method.modules()]
        step(method, make_batch())
        assert [p.requires_grad for p in method.parameters()] == before
        assert [m.training for m in method.modules()] == modes

    def test_the_batch_is_left_as_it_was(self, name):
        batch = make_batch()
        before = copy.deepcopy(batch)
        step(make(name), batch)
        assert torch.equal(batch.reference, before.reference)
        assert torch.equal(batch.image, before.image)
        assert torch.equal(batch.embedding.neck, before.embedding.neck)

    def test_a_seed_decides_the_loss_and_global_randomness_does_not(self, name):
        totals = []
        for global_seed in (1, 2):
            torch.manual_seed(global_seed)
            method = make(name)
            losses = step(method, make_batch(), seed=5)
            losses.total.backward()
            gradients = [p.grad for p in method.trainable_parameters() if p.grad is not None]
            totals.append((losses.total.item(), sum(g.abs().sum().item() for g in gradients)))
        assert totals[0] == totals[1]

    def test_training_leaves_global_randomness_alone(self, name):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        step(make(name), make_batch())
        assert torch.rand(1) == expected

    def test_prediction_is_a_mask_and_deterministic(self, name):
        method, batch = make(name), make_batch()
        mask, rating = predicted(method, batch)
        again, rating_again = predicted(method, batch)
        assert mask.shape == batch.reference.shape
        assert mask.dtype == torch.bool
        assert rating.shape == (len(batch),)
        assert torch.equal(mask, again)
        assert torch.equal(rating.nan_to_num(-1), rating_again.nan_to_num(-1))

    def test_prediction_and_validation_do_not_depend_on_the_batch_size(self, name):
        method, batch = make(name), make_batch()
        mask, _ = predicted(method, batch)
        with torch.no_grad():
            together = method.validation_loss(only_what_it_reads(method, batch))
        assert together.shape == (len(batch),)
        for i in range(len(batch)):
            one = select(batch, slice(i, i + 1))
            assert (predicted(method, one)[0] != mask[i : i + 1]).float().mean() < 1e-3
            with torch.no_grad():
                alone = method.validation_loss(only_what_it_reads(method, one))
            assert torch.allclose(alone, together[i : i + 1], atol=1e-4)

    def test_state_dict_round_trip_keeps_the_prediction(self, name):
        method, batch = make(name), make_batch()
        optimizer = torch.optim.Adam(method.trainable_parameters(), lr=1e-3)
        train_steps(method, optimizer, torch.Generator().manual_seed(0), 1)
        file = io.BytesIO()
        torch.save(method.state_dict(), file)
        file.seek(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            other = METHODS[name](1)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(predicted(method, batch)[0], predicted(other, batch)[0])

    def test_an_interrupted_training_resumes_with_the_same_numbers(self, name, tmp_path):
        train, validation = make_slices(2, seed=1), make_slices(1, seed=2)
        schedule = Schedule(epochs=2, batch_size=3, lr=1e-3)
        whole, first, resumed = (make(name) for _ in range(3))
        expected = fit(whole, train, validation, schedule, seed=4)
        keeps = {"seed": 4, "checkpoint_dir": tmp_path, "checkpoint_every_s": 0.0}
        with pytest.raises(KeyboardInterrupt):
            fit(first, train, validation, schedule, **keeps, on_epoch=interrupt)
        result = fit(resumed, train, validation, schedule, **keeps)
        assert [replace(e, seconds=0) for e in result.epochs] == [
            replace(e, seconds=0) for e in expected.epochs
        ]
        assert expected.epochs[0].train_loss != expected.epochs[1].train_loss
        after = resumed.state_dict()
        assert all(torch.equal(after[key], value) for key, value in whole.state_dict().items())

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("hw", [(32, 32), (29, 35)])
    def test_works_for_any_channels_and_odd_sizes(self, name, channels, hw):
        method, batch = make(name, channels), make_batch(2, channels, hw)
        losses = step(method, batch)
        losses.total.backward()
        assert torch.isfinite(losses.total)
        assert predicted(method, batch)[0].shape == batch.reference.shape

    def test_works_with_a_batch_of_one(self, name):
        method = make(name)
        losses = step(method, make_batch(1))
        losses.total.backward()
        assert torch.isfinite(losses.total)

    def test_a_batch_without_foreground_has_a_finite_loss_and_gradient(self, name):
        method, batch = make(name), make_batch()
        empty = Batch(
            reference=torch.zeros_like(batch.reference),
            image=batch.image,
            embedding=batch.embedding,
        )
        losses = step(method, empty)
        losses.total.backward()
        assert torch.isfinite(losses.total)
        for parameter in method.trainable_parameters():
            assert parameter.grad is None or torch.isfinite(parameter.grad).all()

    def test_trains_in_bf16(self, name):
        method = make(name)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = step(method, make_batch())
        losses.total.backward()
        assert torch.isfinite(losses.total)
        for label, parameter in method.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, label
                assert torch.isfinite(parameter.grad).all(), label

    def test_a_method_reads_only_what_it_says(self, name):
        method, batch = make(name), make_batch()
        nothing = Batch(reference=batch.reference)
        with pytest.raises(ValueError, match=r"image|embedding"):
            method.training_loss(nothing, torch.Generator())


def select(batch: Batch, which: slice) -> Batch:
    return Batch(
        reference=batch.reference[which],
        image=batch.image[which],
        embedding=Embedding(
            taps=tuple(t[which] for t in batch.embedding.taps), neck=batch.embedding.neck[which]
        ),
    )


@pytest.mark.parametrize("name", METHODS)
def test_its_probabilities_give_its_mask(name):
    method = make(name)
    method.eval()
    with torch.no_grad():
        prediction = method.predict(only_what_it_reads(method, make_batch()), SETTINGS)
    probability = prediction.probability
    assert probability.shape == prediction.mask.shape
    assert probability.dtype == torch.float32
    assert 0 <= probability.min() <= probability.max() <= 1
    is_clear = (probability - 0.5).abs() > 1e-6
    assert torch.equal((probability > 0.5)[is_clear], prediction.mask[is_clear])
