from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.config.sweep import Sweep, check_sweep, load_sweep
from sweeper.config.yaml_reader import parse_yaml
from sweeper.errors import CellError, ConfigError
from sweeper.pipeline.plan import placed_errors

SPACES = Path(__file__).resolve().parents[4] / "search_spaces"

BASE = """
name: t
trial:
  source: A-ISBI
  method: {name: desam}
"""


def sweep(text: str) -> Sweep:
    return check_sweep(parse_yaml(text, Path("s.yaml")))


def message(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        sweep(text)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(SPACES.glob("*.yaml")), ids=lambda p: p.name)
def test_every_search_space_that_ships_loads(path: Path) -> None:
    loaded = load_sweep(path)
    assert loaded.trials or loaded.studies


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (BASE + "  sed: 1\n", ["s.yaml:6", "trial.sed", "did you mean 'seed'", "allowed here"]),
        (
            "name: t\ntrial:\n  source: A\n  methd: {name: desam}\n",
            ["s.yaml:4", "trial.methd", "did you mean 'method'"],
        ),
        (BASE + "sedes: [1]\n", ["s.yaml:6", "sedes", "did you mean 'seeds'"]),
        (
            BASE + "  training: {epochs: many}\n",
            ["s.yaml:6", "trial.training.epochs", "'many'", "a whole number"],
        ),
        (BASE + "  training: {epochs: 0}\n", ["trial.training.epochs", "0", "greater than"]),
        (BASE + "  seed: {grid: []}\n", ["s.yaml:6", "trial.seed.grid", "is empty"]),
        (
            "name: t\ntrial:\n  source: A\n  method:\n    name: desam\n    ablaton: full\n",
            ["s.yaml:6", "trial.method.ablaton", "did you mean 'ablation'"],
        ),
        (
            "name: t\ntrial:\n  source: A\n  method: {name: desam, ablation: ful}\n",
            ["s.yaml:4", "method.ablation", "did you mean 'full'"],
        ),
        ("name: t\ntrial: {source: A, method: {name: dsam}}\n", ["name", "'dsam'", "desam"]),
        ("name: t\ntrial: {method: {name: desam}}\n", ["s.yaml:2", "source", "missing"]),
        (
            BASE + "  training: {lr: {loguniform: [1e-3, 1e-5]}}\nsearch: {}\n",
            ["s.yaml:6", "0 < low < high"],
        ),
        (BASE + "  training: {lr: {uniform: [0.1, 0.2]}}\n", ["s.yaml:6", "no 'search:' block"]),
        (
            "name: t\ntrial: {source: A, method: {name: unet, prompt_mode: whole_box}}\n",
            ["s.yaml:2", "trial.method.prompt_mode", "is an option of desam"],
        ),
        (BASE + "  training: {lr: {grid: [1e-4, fast]}}\n", ["s.yaml:6", "'fast'", "a number"]),
        (
            BASE + "blocks:\n  - trial: {}\n  - tral: {}\n",
            ["s.yaml:8", "blocks.1.tral", "did you mean 'trial'"],
        ),
        (
            BASE + "blocks:\n  - trial:\n      method: {name: desam, ablation: fulll}\n",
            ["s.yaml:8", "blocks.0.trial.method.ablation", "did you mean 'full'"],
        ),
        (
            BASE + "toggles: {mode: one_at_time, options: {a: {}}}\n",
            ["s.yaml:6", "toggles.mode", "did you mean 'one_at_a_time'"],
        ),
        (
            BASE + "toggles:\n  options:\n    a:\n      method: {prompt_mode: box}\n",
            ["s.yaml:9", "toggles.options.a.method.prompt_mode", "did you mean 'whole_box'"],
        ),
        (
            BASE + "  training: {lr: {log_uniform: [1e-5, 1e-3]}}\nsearch: {}\n",
            ["s.yaml:6", "training.lr", "did you mean 'loguniform'"],
        ),
        (
            BASE + "  training: {lr: {grid: [1e-5], choice: [1e-3]}}\n",
            ["s.yaml:6", "a searched value has one key, but this has 2"],
        ),
        (BASE + "  training: {lr: [1e-4, 1e-3]}\n", ["s.yaml:6", "to try several values write"]),
        (BASE + "  epochs: 5\n", ["s.yaml:6", "did you mean 'training.epochs'"]),
        (BASE + "seeds: [0, yes]\n", ["s.yaml:6", "seeds.1", "'yes'", "a whole number"]),
        (BASE + "report: {columns: sources}\n", ["s.yaml:6", "did you mean 'source'"]),
        (BASE + "resources: {gpu: -1}\n", ["s.yaml:6", "resources.gpu", "equal to 0"]),
        ("name: t\ntrial: {source: A, method: }\n", ["s.yaml:2", "method", "is empty"]),
        ("name: t\ntrial: {source: A, method: desam}\n", ["s.yaml:2", "{name: desam}"]),
        (
            "name: t\ntrial:\n  source: A\n  method:\n    grid: [{name: desam, grid_size: 3}]\n",
            ["s.yaml:4", "trial.method.grid_size", "unknown key"],
        ),
        ("name: my sweep\ntrial: {}\n", ["s.yaml:1", "'my sweep'", "without spaces"]),
        (
            BASE + "  training: {epochs: 5, changes: [[9, training.lr, 0.1]]}\n",
            ["s.yaml:6", "training.changes", "write constant values"],
        ),
        (
            BASE + "  method2:\n    grid:\n",
            ["s.yaml:7", "trial.method2.grid", "is None"],
        ),
        ("name: t\nname: u\n", ["s.yaml:2", "duplicate key"]),
        ("name: [t\n", ["s.yaml", "not valid YAML"]),
        ("- a\n", ["s.yaml", "a list", "expected a mapping"]),
        ("", ["s.yaml", "is empty"]),
    ],
)
def test_a_wrong_space_gets_one_line_with_file_line_key_and_remedy(
    text: str, parts: list[str]
) -> None:
    said = message(text)
    assert "\n" not in said
    for part in parts:
        assert part in said


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_sweep(tmp_path / "nowhere.yaml")


def test_numbers_mean_the_same_however_they_are_spelled() -> None:
    one = sweep(BASE + "  training: {lr: 1e-4}\n").trials
    other = sweep(BASE + "  training: {lr: 0.0001}\n").trials
    assert one == other
    assert one[0].training.lr == 1e-4


def test_yaml_traps_are_closed() -> None:
    values = parse_yaml("a: 010\nb: NO\nc: 1e-4\nd: true\ne: ~\n").value
    assert values == {"a": 10, "b": "NO", "c": 1e-4, "d": True, "e": None}


def test_cells_that_differ_in_nothing_real_are_one() -> None:
    text = (
        BASE.replace("{name: desam}", "{name: desam, ablation: {grid: [pdmm_only]}}")
        + "  evaluation: {grid_size: {grid: [3, 9]}}\n"
    )
    assert len(sweep(text).trials) == 1


def test_nested_grids_are_conditional_axes() -> None:
    text = """
name: t
trial:
  source: A
  method:
    grid:
      - {name: desam, prompt_mode: whole_box}
      - {name: desam, prompt_mode: grid_points, ablation: {grid: [full, iou_head]}}
  evaluation: {grid_size: {grid: [3, 9]}}
"""
    assert len(sweep(text).trials) == 1 + 2 * 2


def test_seeds_multiply_every_cell() -> None:
    assert [t.seed for t in sweep(BASE + "seeds: [0, 1, 2]\n").trials] == [0, 1, 2]


TOGGLES = (
    BASE
    + """
toggles:
  mode: {mode}
  options:
    long: {training: {epochs: 80}}
    box: {method: {prompt_mode: whole_box}}
    fast: {training: {lr: 0.01}}
"""
)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("one_at_a_time", ["---", "l--", "-b-", "--f"]),
        ("cumulative", ["---", "l--", "lb-", "lbf"]),
        ("leave_one_out", ["lbf", "-bf", "l-f", "lb-"]),
    ],
)
def test_toggles_combine_as_their_mode_says(mode: str, expected: list[str]) -> None:
    found = [
        ("l" if t.training.epochs == 80 else "-")
        + ("b" if t.method.prompt_mode == "whole_box" else "-")
        + ("f" if t.training.lr == 0.01 else "-")
        for t in sweep(TOGGLES.replace("{mode}", mode)).trials
    ]
    assert found == expected


def test_draws_are_the_same_twice_and_equal_for_every_grid_point() -> None:
    text = BASE.replace("A-ISBI", "{grid: [A, B]}") + (
        "  training: {lr: {loguniform: [1e-5, 1e-3]}, batch_size: {randint: [2, 8]}}\n"
        "search: {samples: 5, seed: 3}\n"
    )
    first, second = sweep(text).trials, sweep(text).trials
    assert first == second
    rates = {s: [t.training.lr for t in first if t.source == s] for s in "AB"}
    assert rates["A"] == rates["B"]
    assert len(set(rates["A"])) == 5


def test_include_lays_a_file_over_another_and_errors_name_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(BASE + "  training:\n    epochs: 0\n")
    (tmp_path / "top.yaml").write_text("include: base.yaml\nname: top\n")
    with pytest.raises(ConfigError, match=r"base\.yaml:7: trial\.training\.epochs"):
        load_sweep(tmp_path / "top.yaml")
    loaded = load_sweep(tmp_path / "top.yaml", ["training.epochs=3"])
    assert loaded.spec.name == "top"
    assert loaded.trials[0].training.epochs == 3


def test_a_shipped_space_is_included_by_name_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("include: ablation\nname: mine\ntrial: {training: {epochs: 3}}\n")
    mine, shipped = load_sweep(path), load_sweep(SPACES / "ablation.yaml")
    assert mine.spec.name == "mine"
    assert mine.spec.report == shipped.spec.report
    assert [trial.training.epochs for trial in mine.trials] == [3] * len(shipped.trials)
    path.write_text("include: ablatoin\nname: mine\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:1: include: .*mean 'ablation'.*smoke"):
        load_sweep(path)


def test_an_own_file_goes_before_a_shipped_space_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "ablation").write_text(BASE)
    (tmp_path / "mine.yaml").write_text("include: ablation\n")
    assert load_sweep(tmp_path / "mine.yaml").spec.name == "t"


def test_a_shipped_space_is_loaded_by_its_name() -> None:
    assert load_sweep(Path("smoke")).spec == load_sweep(SPACES / "smoke.yaml").spec


def test_what_a_file_sets_goes_before_the_blocks_of_the_space_it_includes(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("include: main_table_phantom\nname: m\ntrial: {training: {epochs: 2}}\n")
    mine = load_sweep(path)
    assert {trial.training.epochs for trial in mine.trials} == {2}
    assert {trial.training.batch_size for trial in mine.trials} == {2, 4}  # as in the blocks
    assert (
        mine.trials == load_sweep(SPACES / "main_table_phantom.yaml", ["training.epochs=2"]).trials
    )
    path.write_text("include: main_table_phantom\nname: m\ntrial: {training: {epochs: 0}}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:3: trial\.training\.epochs: is 0"):
        load_sweep(path)


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: a.yaml\n" + BASE)
    with pytest.raises(ConfigError, match="includes itself"):
        load_sweep(tmp_path / "a.yaml")


def test_an_override_is_stronger_than_a_block_and_names_itself_when_wrong(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(BASE + "blocks:\n  - {name: a, trial: {training: {epochs: 7}}}\n")
    assert load_sweep(path).trials[0].training.epochs == 7
    assert load_sweep(path, ["training.epochs=2"]).trials[0].training.epochs == 2
    with pytest.raises(ConfigError, match=r"--set training\.epochs=x: trial\.training\.epochs"):
        load_sweep(path, ["training.epochs=x"])
    with pytest.raises(ConfigError, match="expected key=value"):
        load_sweep(path, ["training.epochs"])


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("training.epoch=5", ["--set training.epoch=5", "did you mean 'epochs'"]),
        ("method.name=unett", ["--set method.name=unett", "did you mean 'unet'"]),
        ("seeds=[1,", ["--set seeds=[1,", "not valid YAML"]),
        ("=5", ["--set =5", "expected key=value"]),
    ],
)
def test_a_wrong_override_names_itself(setting: str, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(BASE)
    with pytest.raises(ConfigError) as caught:
        load_sweep(path, [setting])
    for part in parts:
        assert part in str(caught.value)


def test_an_include_of_nothing_names_the_file_that_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("include: nowhere.yaml\nname: t\n")
    with pytest.raises(ConfigError, match=r"s\.yaml:1: include: no file .*nowhere\.yaml"):
        load_sweep(path)


def test_a_draw_may_stand_inside_a_grid_of_mappings() -> None:
    text = """
name: t
trial:
  source: A-ISBI
  training:
    grid:
      - {optimizer: sgd, momentum: {uniform: [0.5, 0.9]}}
      - {optimizer: adam}
  method: {name: desam}
search: {samples: 3}
"""
    loaded = sweep(text)
    optimizers = [trial.training.optimizer for trial in loaded.trials]
    assert optimizers.count("sgd") == 3
    assert optimizers.count("adam") == 1


def test_what_only_the_dataset_knows_is_told_with_file_and_line() -> None:
    loaded = sweep(
        """
name: t
trial:
  source:
    grid:
      - A-ISBI
      - D-UCX
  method: {name: desam}
"""
    )
    with (
        pytest.raises(ConfigError, match=r"s\.yaml:7: trial\.source: 'D-UCX' is unknown"),
        placed_errors(loaded),
    ):
        raise CellError("source", "D-UCX", "'D-UCX' is unknown")


@pytest.mark.parametrize(
    "training",
    ["", "  training: {lr: {loguniform: [1.0e-5, 1.0e-3]}}\nsearch: {algorithm: random}\n"],
    ids=["plain", "searched"],
)
def test_a_table_of_whole_scans_needs_scorings_of_whole_scans(training: str) -> None:
    report = "report: {columns: source, protocol: volume}\n"
    said = message(BASE + training + report)
    assert f"s.yaml:{len((BASE + training).splitlines()) + 1}: report.protocol" in said
    assert "write 'evaluation: {whole_scan: true}' under 'trial:'" in said
    assert "or choose desam2024 or strict" in said
    asked = "  evaluation: {whole_scan: true}\n"
    assert sweep(BASE + asked + training + report).spec.report is not None
    sweep(BASE + training + report.replace("volume", "strict"))
