"""Images of scenes: exact cover along each row of pixels, supersampled across rows and through the slice."""

import numpy as np
from numpy.typing import NDArray

from udcphantom.geometry import Plane
from udcphantom.scene import AIR_HU, Phantom

Image = NDArray[np.float32]


def render_plane(
    scene: Phantom,
    plane: Plane,
    *,
    subrows: int = 2,
    sublayers: int = 3,
    background: float = AIR_HU,
) -> Image:
    """Average a scene over the extent of every pixel of a plane (partial volume).

    Args:
        scene: What is there, LPS, mm.
        plane: Where to look; each pixel covers its spacing in the plane and ``plane.thickness`` along the normal.
        subrows: Lines sampled in each row of pixels. Along a line the cover of each pixel is exact.
        sublayers: Layers sampled through the thickness.
        background: Value where the scene is empty.

    Returns:
        Mean values, shape ``(plane.rows, plane.columns)``.
    """
    lines = np.arange(plane.rows * subrows)
    across = ((lines + 0.5) / subrows - 0.5) * plane.spacing[0]
    origins = np.asarray(plane.position) + across[:, None] * np.asarray(plane.column)
    direction = np.asarray(plane.row, dtype=np.float64)
    total = np.zeros((plane.rows, plane.columns), dtype=np.float32)
    for layer in range(sublayers):
        depth = ((layer + 0.5) / sublayers - 0.5) * plane.thickness
        image = np.full((lines.size, plane.columns), background, dtype=np.float32)
        for solid, value in scene.painted():
            enter, leave = solid.chords(origins + depth * plane.normal, direction)
            _paint(image, enter / plane.spacing[1], leave / plane.spacing[1], value)
        total += image.reshape(plane.rows, subrows, plane.columns).mean(axis=1)
    return total / np.float32(sublayers)


def _paint(image: Image, enter: NDArray[np.float64], leave: NDArray[np.float64], value: float) -> None:
    """Paint the piece of each line between two column coordinates, in place; partly covered pixels mix."""
    hit = np.flatnonzero(leave > enter)
    if hit.size == 0:
        return
    lines = slice(int(hit[0]), int(hit[-1]) + 1)
    columns = image.shape[1]
    first = int(np.clip(np.floor(enter[hit].min() + 0.5), 0, columns))
    last = int(np.clip(np.ceil(leave[hit].max() + 0.5), first, columns))
    edges = np.arange(first, last + 1, dtype=np.float32) - np.float32(0.5)
    low, high = enter[lines, None].astype(np.float32), leave[lines, None].astype(np.float32)
    cover = np.diff(np.clip(edges, low, high), axis=1)
    block = image[lines, first:last]
    block += cover * (np.float32(value) - block)
