"""The contact sheet shows every tile, with the outline of its label in the structure's colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.image import imread

from sweeper.data.contact_sheet import TILE_PX, Tile, write_contact_sheet

if TYPE_CHECKING:
    from pathlib import Path


def tile(value: int = 0, *, channels: int = 1) -> Tile:
    """A grey tile with a square of one structure, or without one."""
    label = np.zeros((32, 32), np.uint8)
    label[8:24, 8:24] = value
    return Tile(image=np.full((channels, 32, 32), 90, np.uint8), label=label, caption="c1 z3")


def pixels(path: Path) -> np.ndarray:
    return np.rint(imread(path)[..., :3] * 255).astype(int)


def near(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels whose colour is close to `colour`."""
    return int((np.abs(picture - colour).max(axis=-1) < 60).sum())


def test_the_sheet_has_a_row_per_domain_and_room_for_the_longest_row(tmp_path: Path) -> None:
    short, long = tmp_path / "a" / "short.png", tmp_path / "long.png"
    write_contact_sheet(short, [("A", [tile(1)])], title="t")
    write_contact_sheet(long, [("A", [tile(1)]), ("B", [tile(1)] * 3)], title="t")
    (height, width, _), (taller, wider, _) = pixels(short).shape, pixels(long).shape
    assert abs(taller - height - TILE_PX) <= 1
    assert abs(wider - width - 2 * TILE_PX) <= 1


def test_each_structure_is_outlined_in_its_own_colour(tmp_path: Path) -> None:
    green, red = (0x39, 0xFF, 0x14), (0xFF, 0x3B, 0x30)
    counts = {}
    for value in (0, 1, 2):
        path = tmp_path / f"{value}.png"
        write_contact_sheet(path, [("A", [tile(value)])], title="t")
        counts[value] = (near(pixels(path), green), near(pixels(path), red))
    assert counts[0] == (0, 0)
    assert counts[1][0] > 50
    assert counts[1][1] == 0
    assert counts[2][1] > 50
    assert counts[2][0] == 0


def test_colour_images_keep_their_colour(tmp_path: Path) -> None:
    blue = Tile(
        image=np.stack([np.zeros((32, 32)), np.zeros((32, 32)), np.full((32, 32), 255)]).astype(
            np.uint8
        ),
        label=np.zeros((32, 32), np.uint8),
        caption="",
    )
    write_contact_sheet(tmp_path / "c.png", [("A", [blue])], title="")
    assert near(pixels(tmp_path / "c.png"), (0, 0, 255)) > 0.8 * TILE_PX**2
