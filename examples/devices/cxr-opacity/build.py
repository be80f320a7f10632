"""Writes the network of the demonstration device as ONNX. There is nothing trained in it: every weight is stated here.

The network takes a frontal chest radiograph, 512 x 512, 0 (dark) to 1 (bright). It averages over 4 x 4 pixels and
then over a Gaussian of one cell, which removes noise and thins ribs, and gives `CONTRAST` on a grid of 128 x 128: the
mean of a disc (radius 6 cells) minus the mean of the ring round it (radii 14 to 17 cells), inside the places where
lungs and no heart lie in a well-positioned picture, and -1 elsewhere.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 512
CELLS = 128
DISC = 6.0
RING = (14.0, 17.0)
# Centre x, y and radii x, y of the lungs' inner part, as fractions of the picture.
LUNGS = ((0.31, 0.47, 0.125, 0.28), (0.69, 0.47, 0.12, 0.28))
HEART = (0.54, 0.60, 0.12, 0.16)


def gaussian(sigma: float, radius: int) -> np.ndarray:
    axis = np.arange(-radius, radius + 1)
    kernel = np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * sigma**2))
    return kernel / kernel.sum()


def disc_against_ring() -> np.ndarray:
    radius = int(RING[1])
    axis = np.arange(-radius, radius + 1)
    distance = np.hypot(axis[:, None], axis[None, :])
    disc = distance <= DISC
    ring = (distance >= RING[0]) & (distance <= RING[1])
    return disc / disc.sum() - ring / ring.sum()


def lung_places() -> np.ndarray:
    axis = (np.arange(CELLS) + 0.5) / CELLS

    def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
        return np.hypot((axis[None, :] - x) / radius_x, (axis[:, None] - y) / radius_y) <= 1

    right, left = (ellipse(*lung) for lung in LUNGS)
    return (right | left) & ~ellipse(*HEART)


def constant(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name)


def network() -> onnx.ModelProto:
    places = lung_places()[None, None]
    reach = int(RING[1])
    nodes = [
        helper.make_node("AveragePool", ["IMAGE"], ["CELLS"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Pad", ["CELLS", "pads_small"], ["PADDED_SMALL"], mode="edge"),
        helper.make_node("Conv", ["PADDED_SMALL", "gaussian"], ["SMOOTH"]),
        helper.make_node("Pad", ["SMOOTH", "pads_large"], ["PADDED_LARGE"], mode="edge"),
        helper.make_node("Conv", ["PADDED_LARGE", "disc_against_ring"], ["EVERYWHERE"]),
        helper.make_node("Where", ["places", "EVERYWHERE", "nowhere"], ["CONTRAST"]),
    ]
    graph = helper.make_graph(
        nodes,
        "cxr_opacity",
        [helper.make_tensor_value_info("IMAGE", TensorProto.FLOAT, [1, 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("CONTRAST", TensorProto.FLOAT, [1, 1, CELLS, CELLS])],
        [
            constant("gaussian", gaussian(1.0, 3)[None, None]),
            constant("disc_against_ring", disc_against_ring()[None, None]),
            constant("nowhere", np.full((1,), -1.0)),
            numpy_helper.from_array(places, "places"),
            numpy_helper.from_array(np.array([0, 0, 3, 3, 0, 0, 3, 3], np.int64), "pads_small"),
            numpy_helper.from_array(np.array([0, 0, reach, reach, 0, 0, reach, reach], np.int64), "pads_large"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="udc")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    target = Path(sys.argv[1]) / "1" / "network.onnx"
    target.write_bytes(network().SerializeToString(deterministic=True))
