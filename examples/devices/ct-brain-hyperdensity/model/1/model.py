"""Hyperdense volume inside the skull. For demonstration, not for diagnosis.

The computation, on a grid of 2.5 x 1 x 1 mm in Hounsfield units:

1. Bone is everything above 250 HU; in each axial plane the largest piece of bone is the skull.
2. The inside of the skull is what the skull encloses in that plane, 3 mm away from bone in the plane and 10 mm across
   planes: between a slice with and one without bone, partial volume looks like blood.
3. The level of brain is the median of the inside between 0 and 60 HU, after smoothing (sigma 1 mm).
4. A candidate is a connected region more than 20 HU above brain, of at least 0.1 ml. Its own level is the median of the
   voxels at least half as deep as the deepest.
5. A candidate's volume is what its excess density over brain amounts to, within 5 mm round it, divided by its own
   excess: blur and thick slices move density but do not lose it. Its mask is that many of the densest voxels. (The
   border at half height would do for flat surfaces; blur shrinks it where the surface is curved.)
6. The probability is V / (V + 0.5 ml) for the volume V of all candidates: 0 without any, 0.5 at half a millilitre.
"""

import numpy as np
import triton_python_backend_utils as pb_utils
from scipy import ndimage

SPACING_MM = (2.5, 1.0, 1.0)
VOXEL_ML = SPACING_MM[0] * SPACING_MM[1] * SPACING_MM[2] / 1000.0
BONE_HU = 250.0
BONE_MARGIN_MM = 3.0
BONE_MARGIN_ACROSS_MM = 10.0
SMOOTHING_MM = 1.0
CONTRAST_HU = 20.0
SMALLEST_ML = 0.1
HALF_PROBABILITY_ML = 0.5
REACH_MM = 5.0


def inside_of_skull(bone):
    """Return what the largest piece of bone encloses in each plane, away from bone by the margins."""
    inside = np.zeros_like(bone)
    for plane, result in zip(bone, inside, strict=True):
        labels, count = ndimage.label(plane)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())
        skull = labels == 1 + int(np.argmax(sizes[1:]))
        enclosed = ndimage.binary_fill_holes(skull) & ~skull
        if enclosed.any():
            result[:] = enclosed & (ndimage.distance_transform_edt(~plane, sampling=SPACING_MM[1:]) > BONE_MARGIN_MM)
    planes = int(np.ceil(BONE_MARGIN_ACROSS_MM / SPACING_MM[0]))
    near_bone = ndimage.maximum_filter1d(bone.astype(np.uint8), size=2 * planes + 1, axis=0).astype(bool)
    return inside & ~near_bone


def region(smooth, core, inside, brain):
    """Return the mask of one candidate, whose voxels above the contrast are `core`."""
    depth = ndimage.distance_transform_edt(core, sampling=SPACING_MM)
    level = float(np.median(smooth[depth >= depth.max() / 2]))
    distance = ndimage.distance_transform_edt(~core, sampling=SPACING_MM)
    # Cerebrospinal fluid is much less dense than brain and would count against the candidate.
    near = inside & (distance <= REACH_MM) & (smooth > brain - CONTRAST_HU / 2)
    amount = round(float(np.sum(smooth[near] - brain)) / (level - brain))
    densest = np.sort(smooth[near])[::-1]
    border = densest[min(max(amount, 1), densest.size) - 1]
    labels, _ = ndimage.label(near & (smooth >= border))
    kept = np.unique(labels[core & (labels > 0)])
    return np.isin(labels, kept)


def hyperdense(volume):
    """Return a mask of the shape of `volume` (z, y, x), HU."""
    inside = inside_of_skull(volume > BONE_HU)
    mask = np.zeros(volume.shape, dtype=np.uint8)
    smooth = ndimage.gaussian_filter(volume, [SMOOTHING_MM / spacing for spacing in SPACING_MM])
    tissue = smooth[inside & (smooth > 0) & (smooth < 60)]
    if tissue.size == 0:
        return mask
    brain = float(np.median(tissue))
    candidates, _ = ndimage.label(inside & (smooth > brain + CONTRAST_HU), structure=np.ones((3, 3, 3)))
    reach = [int(np.ceil(REACH_MM / spacing)) + 1 for spacing in SPACING_MM]
    for number, box in enumerate(ndimage.find_objects(candidates), start=1):
        if np.count_nonzero(candidates[box] == number) * VOXEL_ML < SMALLEST_ML:
            continue
        wide = tuple(
            slice(max(0, part.start - margin), min(size, part.stop + margin))
            for part, margin, size in zip(box, reach, volume.shape, strict=True)
        )
        core = candidates[wide] == number
        mask[wide][region(smooth[wide], core, inside[wide], brain)] = 1
    return mask


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            volume = pb_utils.get_input_tensor_by_name(request, "VOLUME").as_numpy()
            mask = hyperdense(volume)
            amount = float(np.count_nonzero(mask)) * VOXEL_ML
            probability = np.array([amount / (amount + HALF_PROBABILITY_ML)], dtype=np.float32)
            responses.append(
                pb_utils.InferenceResponse([pb_utils.Tensor("MASK", mask), pb_utils.Tensor("PROBABILITY", probability)])
            )
        return responses
