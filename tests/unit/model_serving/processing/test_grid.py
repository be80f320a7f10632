"""The device's grid over a scan, and labels on their way back, with positions worked out by hand."""

import numpy as np
import pytest

from model_serving.domain.grid import Grid, grid_over, on_frame
from unit.model_serving.processing.scans import scan, tilted


def test_the_grid_covers_every_pixel_centre() -> None:
    # Columns from -2 to 2, rows from -1 to 1, planes at 0, 4 and 8; a voxel reaches half its size beyond its centre.
    grid = grid_over(scan([0, 4, 8], matrix=(3, 5)), (2.5, 1.0, 3.0))
    assert grid.origin_mm == (0.0, -1.0, -2.0)
    assert grid.shape == (4, 3, 2)
    assert grid.axis_mm(2).tolist() == [-2.0, 1.0]


def test_a_tilted_scan_needs_a_larger_grid() -> None:
    # 130 rows of 1 mm at 30 degrees reach 129 * sin(30) = 64.5 mm along z, after 10.2 mm of table: 74.7 mm in all.
    # Along y they reach 129 * cos(30) = 111.7 mm. A voxel reaches half a millimetre beyond its centre.
    grid = grid_over(tilted([0, 5, 10.2], 30), (1.0, 1.0, 1.0))
    assert grid.shape == (76, 113, 100)


def test_labels_are_read_at_the_nearest_voxel() -> None:
    # Pixels at -1, 0 and 1 along x and y on the plane z = 4; voxels at -1 and 1, and at z = 0 and 5.
    (frame,) = scan([4], matrix=(3, 3))
    grid = Grid((0.0, -1.0, -1.0), (5.0, 2.0, 2.0), (2, 2, 2))
    labels = np.arange(1, 9, dtype=np.uint8).reshape(2, 2, 2)
    # 0 lies half-way between the voxels 0 and 1: the even one is taken.
    assert on_frame(labels, grid, frame).tolist() == [[5, 5, 6], [5, 5, 6], [7, 7, 8]]


@pytest.mark.parametrize("level", [-2.6, 2.6])
def test_outside_of_the_grid_there_is_no_label(level: float) -> None:
    grid = Grid((0.0, 0.0, 0.0), (5.0, 1.0, 1.0), (1, 2, 2))
    (inside, outside) = scan([2.4, level], matrix=(5, 5))
    labels = np.ones(grid.shape, np.uint8)
    assert on_frame(labels, grid, inside).tolist() == [[0] * 5, [0] * 5, [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0] * 5]
    assert not on_frame(labels, grid, outside).any()
