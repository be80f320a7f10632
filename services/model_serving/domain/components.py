"""Connected regions of a mask on the grid that the device saw."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def regions_of(mask: NDArray[np.bool_], *, voxel_ml: float, min_volume_ml: float) -> NDArray[np.int32]:
    """Number the connected regions of a mask, the largest first.

    Voxels that share a corner belong together: a thin oblique bleed is one, not a row of crumbs.

    Args:
        mask: On the grid, shape ``(z, y, x)``.
        voxel_ml: Volume of a voxel, ml.
        min_volume_ml: Regions below are left out.

    Returns:
        0 outside of regions, else the number of the region from 1, in the shape of ``mask``.
    """
    numbered = np.zeros(mask.shape, np.int32)
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    if not boxes or boxes[0] is None:
        return numbered
    # Labelling only what encloses the mask: most of a volume is empty.
    labels, count = ndimage.label(mask[boxes[0]], structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    by_size = np.argsort(-sizes, kind="stable")
    # A region of exactly the smallest volume stays, also when the division says it is a hair less.
    kept = by_size[sizes[by_size] * voxel_ml >= min_volume_ml * (1 - 1e-9)]
    number_of = np.zeros(count + 1, np.int32)
    number_of[kept + 1] = np.arange(1, len(kept) + 1)
    numbered[boxes[0]] = number_of[labels]
    return numbered
