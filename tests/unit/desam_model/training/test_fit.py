"""The epoch loop: exactness, resume, selection, and what stops it."""

from __future__ import annotations

import gc
import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from desam_model.desam.ablation import Ablation
from desam_model.scoring.evaluate import evaluate
from desam_model.training.epoch import derived_seed
from desam_model.training.fit import NonFiniteLossError, Schedule, fit
from desam_model.training.loader import Loader
from desam_model.training.process_memory import anonymous_bytes, return_free_memory
from desam_model.training.schedule import build_optimizer
from desam_model.training.state import load_weights
from desam_model.types import Decision, PredictionSettings

SCHEDULE = Schedule(epochs=3, batch_size=4, lr=1e-3)


@pytest.fixture(scope="module")
def train(make_slices):
    return make_slices(3, 3, seed=1)


@pytest.fixture(scope="module")
def validation(make_slices):
    return make_slices(1, 3, seed=2)


def same_weights(one, other):
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def without_times(records):
    return [replace(record, seconds=0.0) for record in records]


@pytest.mark.parametrize("ablation", list(Ablation))
def test_training_lowers_the_loss_and_the_masks_can_be_scored(
    small_desam, train, validation, ablation
):
    method = small_desam(ablation=ablation)
    schedule = Schedule(epochs=8, batch_size=4, lr=3e-3)
    result = fit(method, train, validation, schedule, seed=0)
    assert result.epochs[-1].train_loss < 0.9 * result.epochs[0].train_loss
    # a few steps do not lift the predicted IoU over 0.5
    settings = PredictionSettings(grid_size=3, iou_threshold=-9.0, min_region_px=0)
    scores = evaluate(method, validation, settings, partial(Loader, batch_size=8)).scores
    assert max(score.values["dice"] for score in scores) > 0.5


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(
    small_desam, train, validation
):
    methods = [small_desam() for _ in range(3)]
    results = [
        fit(method, train, validation, SCHEDULE, seed=seed)
        for method, seed in zip(methods, (5, 5, 6), strict=True)
    ]
    assert same_weights(methods[0], methods[1])
    assert without_times(results[0].epochs) == without_times(results[1].epochs)
    assert not same_weights(methods[0], methods[2])


def test_the_global_random_state_plays_no_part_and_is_left_alone(small_desam, train, validation):
    weights = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        before = torch.random.get_rng_state()
        method = small_desam()
        fit(method, train, validation, SCHEDULE, seed=0)
        assert torch.equal(before, torch.random.get_rng_state())
        weights.append(method)
    assert same_weights(*weights)


class CrashError(RuntimeError):
    pass


def crash_after(epoch):
    def on_epoch(record):
        if record.epoch == epoch:
            raise CrashError
        return Decision.CONTINUE

    return on_epoch


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam"},
        {"optimizer": "sgd"},
        {"precision": "bf16", "accumulate": 2},
        {"precision": "fp16", "channels_last": True},
    ],
    ids=str,
)
def test_a_crashed_training_goes_on_and_ends_with_the_same_bits(
    small_desam, train, validation, tmp_path, options
):
    schedule = replace(SCHEDULE, **options)
    whole = small_desam()
    expected = fit(whole, train, validation, schedule, seed=3, checkpoint_dir=tmp_path / "whole")
    folder = tmp_path / "crashed"
    options = {"seed": 3, "checkpoint_dir": folder, "checkpoint_every_s": 0.0}
    with pytest.raises(CrashError):
        fit(small_desam(), train, validation, schedule, on_epoch=crash_after(1), **options)
    seen = []
    resumed = small_desam()
    result = fit(
        resumed,
        train,
        validation,
        schedule,
        on_epoch=lambda record: seen.append(record.epoch) or Decision.CONTINUE,
        **options,
    )
    assert seen == [0, 1, 2]  # the first two from the checkpoint
    assert same_weights(whole, resumed)
    assert without_times(result.epochs) == without_times(expected.epochs)
    for name in ("best.pt", "selection.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (folder / name).read_bytes()


def test_a_finished_training_is_not_trained_again(small_desam, train, validation, tmp_path):
    first = fit(small_desam(), train, validation, SCHEDULE, seed=0, checkpoint_dir=tmp_path)
    method = small_desam()
    again = fit(method, train, validation, SCHEDULE, seed=0, checkpoint_dir=tmp_path)
    assert again == first  # its seconds too
    saved = load_weights(tmp_path / "best.pt")
    assert all(torch.equal(saved[name], value) for name, value in method.state_dict().items())


def test_the_lowest_validation_loss_is_selected_and_written_down(
    small_desam, train, validation, tmp_path
):
    result = fit(small_desam(), train, validation, SCHEDULE, seed=0, checkpoint_dir=tmp_path)
    losses = [record.validation_loss for record in result.epochs]
    assert result.selected_epoch == losses.index(min(losses))
    written = json.loads((tmp_path / "selection.json").read_text())
    assert written["selected_epoch"] == result.selected_epoch
    assert written["validation_loss"] == losses
    assert not list(tmp_path.glob("*.tmp"))


def test_a_checkpoint_of_another_seed_is_refused_by_name(small_desam, train, validation, tmp_path):
    fit(small_desam(), train, validation, SCHEDULE, seed=0, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=r"last\.pt belongs to another training"):
        fit(small_desam(), train, validation, SCHEDULE, seed=1, checkpoint_dir=tmp_path)


def test_a_truncated_checkpoint_gets_one_clear_line(small_desam, train, validation, tmp_path):
    fit(small_desam(), train, validation, SCHEDULE, seed=0, checkpoint_dir=tmp_path)
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        fit(small_desam(), train, validation, SCHEDULE, seed=0, checkpoint_dir=tmp_path)


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_accumulation_keeps_the_effective_batch(small_desam, train, validation, parts):
    # SGD, because Adam's first step is a sign and amplifies rounding
    schedule = Schedule(epochs=1, batch_size=4, lr=0.1, optimizer="sgd", momentum=0.0)
    whole, split = small_desam(), small_desam()
    validate, sizes = split.validate, []
    split.validate = lambda batch, settings: sizes.append(len(batch)) or validate(batch, settings)
    expected = fit(whole, train, validation, schedule, seed=0)
    result = fit(split, train, validation, replace(schedule, accumulate=parts), seed=0)
    for name in ("train_loss", "validation_loss"):
        mine, theirs = getattr(result.epochs[0], name), getattr(expected.epochs[0], name)
        assert math.isclose(mine, theirs, rel_tol=1e-4)
    assert max(sizes) <= -(-schedule.batch_size // parts)  # memory is saved in validation too
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(split.state_dict()[name], value, rtol=1e-3, atol=1e-5)


def test_the_caller_can_stop_and_the_best_so_far_is_kept(small_desam, train, validation):
    result = fit(
        small_desam(), train, validation, SCHEDULE, seed=0, on_epoch=lambda _: Decision.STOP
    )
    assert result.stopped_early
    assert len(result.epochs) == 1


def test_a_non_finite_loss_names_its_step_and_cases(small_desam, train, validation):
    method = small_desam()
    broken = list(train)
    poisoned = replace(broken[4].embedding, neck=broken[4].embedding.neck * float("nan"))
    broken[4] = replace(broken[4], embedding=poisoned)
    order = torch.Generator().manual_seed(derived_seed(0, 0, "order"))
    at = torch.randperm(len(broken), generator=order).tolist()
    step = at.index(4) // SCHEDULE.batch_size
    batch = at[step * SCHEDULE.batch_size : (step + 1) * SCHEDULE.batch_size]
    with pytest.raises(NonFiniteLossError, match=f"is nan in epoch 0, step {step}, ") as caught:
        fit(method, broken, validation, SCHEDULE, seed=0)
    assert (caught.value.epoch, caught.value.step) == (0, step)
    assert caught.value.cases == tuple(broken[i].case for i in batch)
    assert all(parameter.isfinite().all() for parameter in method.parameters())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_non_finite_loss_changes_no_weight(small_desam, train, validation, accumulate):
    broken = [
        replace(one, embedding=replace(one.embedding, neck=one.embedding.neck * math.inf))
        for one in train
    ]
    method, untouched = small_desam(), small_desam()
    with pytest.raises(NonFiniteLossError, match="epoch 0, step 0"):
        fit(method, broken, validation, replace(SCHEDULE, accumulate=accumulate), seed=0)
    assert same_weights(method, untouched)


def test_a_non_finite_validation_loss_stops_the_training(small_desam, train, validation):
    broken = list(validation)
    poisoned = replace(broken[0].embedding, neck=broken[0].embedding.neck * float("inf"))
    broken[0] = replace(broken[0], embedding=poisoned)
    with pytest.raises(NonFiniteLossError, match="validation"):
        fit(small_desam(), train, broken, SCHEDULE, seed=0)


def test_nothing_to_train_on_is_refused(small_desam, validation):
    with pytest.raises(ValueError, match="0 training and 3 validation"):
        fit(small_desam(), [], validation, SCHEDULE, seed=0)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_lower_precision_computes_in_it_and_keeps_float32_weights(
    small_desam, train, validation, precision, dtype
):
    method, exact = small_desam(), small_desam()
    seen = set()
    mlp = method.prim.transformer.layers[0].mlp
    for part in (method.pdmm.head, method.pdmm.fusion.conv1, mlp):
        part.register_forward_hook(lambda _, __, output: seen.add(output.dtype))
    schedule = Schedule(epochs=2, batch_size=4, lr=1e-3, precision=precision)
    result = fit(method, train, validation, schedule, seed=0)
    expected = fit(exact, train, validation, replace(schedule, precision="float32"), seed=0)
    assert seen == {dtype}
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}
    # near the float32 losses, so that no step was skipped; not equal, so that it was lower
    for got, want in zip(result.epochs, expected.epochs, strict=True):
        assert got.train_loss != want.train_loss
        assert math.isclose(got.train_loss, want.train_loss, rel_tol=0.03)
        assert math.isclose(got.validation_loss, want.validation_loss, rel_tol=0.03)


def test_channels_last_changes_no_number_beyond_rounding(small_desam, train, validation):
    plain, last = small_desam(), small_desam()
    schedule = Schedule(epochs=1, batch_size=4, lr=1e-3)
    expected = fit(plain, train, validation, schedule, seed=0)
    result = fit(last, train, validation, replace(schedule, channels_last=True), seed=0)
    assert math.isclose(
        result.epochs[0].validation_loss, expected.epochs[0].validation_loss, rel_tol=1e-3
    )


def test_a_machine_that_cannot_compile_says_so_once_and_trains(
    small_desam, train, validation, monkeypatch, caplog
):
    def refuse(*_, **__):
        raise RuntimeError("no C++ compiler\nand a page of advice")

    monkeypatch.setattr(torch, "compile", refuse)
    plain, compiled = small_desam(), small_desam()
    fit(plain, train, validation, SCHEDULE, seed=0)
    fit(compiled, train, validation, replace(SCHEDULE, compile=True), seed=0)
    assert same_weights(plain, compiled)
    assert [record.getMessage() for record in caplog.records] == [
        "compile is on, but torch.compile does not work on this machine (RuntimeError: no C++"
        " compiler); training without it"
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)  # compiling took 270 s on one busy core
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own; it hides it by itself
def test_compiled_steps_change_no_number_beyond_rounding(small_desam, train, validation, caplog):
    plain, compiled = small_desam(), small_desam()
    schedule = Schedule(epochs=2, batch_size=4, lr=1e-3)
    expected = fit(plain, train, validation, schedule, seed=0)
    result = fit(compiled, train, validation, replace(schedule, compile=True), seed=0)
    assert not [record for record in caplog.records if record.name.startswith("desam_model")]
    assert compiled.pdmm._compiled_call_impl is not None
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    for got, want in zip(result.epochs, expected.epochs, strict=True):
        assert math.isclose(got.train_loss, want.train_loss, rel_tol=1e-3)
        assert math.isclose(got.validation_loss, want.validation_loss, rel_tol=1e-3)


@pytest.mark.slow
def test_without_a_c_compiler_one_line_is_logged(monkeypatch, tmp_path):
    from desam_model.training.compiled import why_not_compiled

    assert why_not_compiled(torch.device("cpu")) is None
    torch.compiler.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "/nowhere"))
    why = why_not_compiled(torch.device("cpu"))
    assert why is not None
    assert "No working C++ compiler" in why
    assert "\n" not in why


def test_peak_memory_and_parameter_count_are_recorded(small_desam, train, validation):
    method = small_desam()
    result = fit(method, train, validation, SCHEDULE, seed=0)
    assert result.peak_memory_bytes > 10_000_000
    assert result.trainable_parameters == sum(
        parameter.numel() for parameter in method.parameters() if parameter.requires_grad
    )


def test_the_peak_memory_is_that_of_the_largest_step(
    small_desam, train, validation, monkeypatch, tmp_path
):
    method = small_desam()
    loss_of, held = method.training_loss, []

    def larger_once(batch, generator):
        held[:] = [torch.ones(50_000_000)] if len(held) == 0 else []  # 200 MB, every other step
        return loss_of(batch, generator)

    monkeypatch.setattr(method, "training_loss", larger_once)
    gc.collect()  # else what earlier tests left may be freed meanwhile, and hide the step
    return_free_memory()
    before = anonymous_bytes()
    options = {"seed": 0, "checkpoint_dir": tmp_path, "checkpoint_every_s": 0.0}
    with pytest.raises(CrashError):
        fit(method, train, validation, SCHEDULE, on_epoch=crash_after(1), **options)
    held.clear()
    # the rest needs less, and the peak of the part before the crash is not forgotten
    result = fit(small_desam(), train, validation, SCHEDULE, **options)
    assert result.peak_memory_bytes > before + 190_000_000


def test_the_learning_rate_falls_as_stated():
    rates = [Schedule(epochs=50).lr_at(epoch) for epoch in range(50)]
    assert rates[0] == 1e-4
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] > 0
    assert math.isclose(rates[25], 1e-4 * 0.5**0.9)
    assert Schedule(epochs=50, lr_decay="constant").lr_at(49) == 1e-4
    assert math.isclose(Schedule(epochs=50, lr_decay="linear").lr_at(25), 0.5e-4)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}])
def test_an_impossible_schedule_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Schedule(**wrong)


def test_a_checkpoint_of_another_schedule_is_refused(small_desam, train, validation, tmp_path):
    fit(small_desam(), train, validation, SCHEDULE, seed=3, checkpoint_dir=tmp_path)
    other = replace(SCHEDULE, weight_decay=0.5)
    with pytest.raises(ValueError, match="belongs to another training"):
        fit(small_desam(), train, validation, other, seed=3, checkpoint_dir=tmp_path)


def test_a_resumed_training_repeats_the_epochs_of_its_checkpoint(
    small_desam, train, validation, tmp_path
):
    seen = []

    def interrupt_after_the_second(record):
        seen.append(record)
        if record.epoch == 1:
            raise KeyboardInterrupt
        return Decision.CONTINUE

    schedule = replace(SCHEDULE, epochs=3)
    keeps = {"seed": 3, "checkpoint_dir": tmp_path, "checkpoint_every_s": 0.0}
    with pytest.raises(KeyboardInterrupt):
        fit(
            small_desam(), train, validation, schedule, **keeps, on_epoch=interrupt_after_the_second
        )
    told = []

    def stop_in_the_past(record):
        told.append(record)
        return Decision.STOP if record.epoch < 2 else Decision.CONTINUE

    result = fit(small_desam(), train, validation, schedule, **keeps, on_epoch=stop_in_the_past)
    assert told[:2] == seen
    assert [record.epoch for record in told] == [0, 1, 2]
    assert not result.stopped_early


def test_csdgs_rate_is_constant_for_fifty_epochs_and_then_falls_to_nothing():
    csdg = Schedule(epochs=2000, lr=3e-4, lr_decay="linear", constant_epochs=50)
    assert {csdg.lr_at(epoch) for epoch in range(51)} == {3e-4}
    assert csdg.lr_at(1025) == pytest.approx(1.5e-4)
    assert 0 < csdg.lr_at(1999) < 1e-6
    assert Schedule(epochs=3, lr_decay="linear", constant_epochs=50, lr=1.0).lr_at(2) == 1.0


def test_the_optimisers_get_their_momentum_and_betas(small_desam):
    parameters = list(small_desam().parameters())
    sgd = build_optimizer(parameters, Schedule(optimizer="sgd", nesterov=True))
    assert sgd.param_groups[0]["nesterov"]
    assert not build_optimizer(parameters, Schedule(optimizer="sgd")).param_groups[0]["nesterov"]
    adam = build_optimizer(parameters, Schedule(betas=(0.5, 0.999)))
    assert adam.param_groups[0]["betas"] == (0.5, 0.999)


@pytest.mark.parametrize("selection", ["validation", "training", "last"])
def test_the_selected_weights_are_those_of_the_rule(
    small_desam, train, validation, selection, tmp_path
):
    # a rate at which the validation loss has its minimum before the last epoch
    schedule = Schedule(epochs=6, batch_size=4, lr=3e-2, lr_decay="constant", selection=selection)
    method = small_desam()
    result = fit(method, train, validation, schedule, seed=1, checkpoint_dir=tmp_path)
    by = {
        "validation": lambda e: e.validation_loss,
        "training": lambda e: e.train_loss,
        "last": lambda e: -e.epoch,
    }
    expected = min(result.epochs, key=by[selection]).epoch
    assert result.selected_epoch == expected
    rule = json.loads((tmp_path / "selection.json").read_text())["rule"]
    assert selection in rule
    upto = small_desam()
    fit(
        upto,
        train,
        validation,
        replace(schedule, selection="last"),
        seed=1,
        on_epoch=lambda e: Decision.STOP if e.epoch == expected else Decision.CONTINUE,
    )
    assert same_weights(method, upto)
