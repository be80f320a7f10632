"""The largest opacity in the lungs of a frontal chest radiograph. For demonstration, not for diagnosis.

`network.onnx` (written by build.py) gives a map of local contrast on 128 x 128 cells. Here:

1. The place is the cell of the highest contrast c; the probability is 1 / (1 + exp(-60 (c - 0.085))).
2. The box encloses the connected cells round it whose contrast is above 0.3 c.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from scipy import ndimage

CELL = 4
STEEPNESS = 60.0
EVEN_CONTRAST = 0.085
EXTENT = 0.3


def box_round(contrast, row, column):
    """Return left, top, right, bottom in pixels of the network's input."""
    labels, _ = ndimage.label(contrast > EXTENT * contrast[row, column])
    rows, columns = ndimage.find_objects(labels)[labels[row, column] - 1]
    return [columns.start * CELL, rows.start * CELL, columns.stop * CELL, rows.stop * CELL]


class TritonPythonModel:
    def initialize(self, args):
        folder = Path(args["model_repository"]) / args["model_version"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(folder / "network.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def execute(self, requests):
        responses = []
        for request in requests:
            image = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy()
            (contrast,) = self.session.run(["CONTRAST"], {"IMAGE": image})
            row, column = np.unravel_index(int(np.argmax(contrast[0, 0])), contrast.shape[2:])
            score = float(contrast[0, 0, row, column])
            probability = 1.0 / (1.0 + np.exp(-STEEPNESS * (score - EVEN_CONTRAST)))
            # Contrast is positive somewhere even in a clear picture; where it is not, there is no region to enclose.
            box = box_round(contrast[0, 0], row, column) if score > 0 else [0, 0, CELL, CELL]
            responses.append(
                pb_utils.InferenceResponse(
                    [
                        pb_utils.Tensor("PROBABILITY", np.array([[probability]], dtype=np.float32)),
                        pb_utils.Tensor("BOX", np.array([box], dtype=np.float32)),
                    ]
                )
            )
        return responses
