"""Trains the digit classifier and writes everything beside this file: `python train.py`, with ../requirements.txt.

A perceptron with two hidden layers. It learns from each picture and from eight distorted copies: what a picture looks
like after somebody else's scaling is not what the data set's own scaling gives.
"""

import io
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from example_folder import (  # noqa: E402
    Input,
    Sample,
    save_golden,
    save_heldout,
    save_model,
    save_samples,
    save_sums,
)
from measure import measure  # noqa: E402

SEED = 1997
HELDOUT = 400
SHOWN = 8
COPIES = 8
SIDE = 8
# Pixels of the PNG along one side, a multiple of SIDE.
PICTURE_SIDE = 64
# The data set counts ink in blocks of 4 × 4.
MAX_INK = 16

SETTINGS = {
    "entry": "model.onnx",
    "metadata": {
        "task": "image-classification",
        "description": "Reads one handwritten digit. Input: 8 × 8 gray values, paper 0, ink 1.",
        "licence": "Apache-2.0 (model), CC-BY-4.0 (training data)",
        "source": "Trained by examples/models/digits/train.py on E. Alpaydin and C. Kaynak, Optical Recognition "
        "of Handwritten Digits, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49",
    },
    "deployment": {"minReplicas": 2},
    "preprocessing": {
        "kind": "image",
        "input": "image",
        "width": SIDE,
        "height": SIDE,
        "channels": "gray",
        "layout": "NCHW",
        "resize": "fill",
        "kernel": "linear",
        "invert": True,
    },
    "classLabels": [str(digit) for digit in range(10)],
    "answer": {"kind": "argmax", "output": "probabilities"},
}


def distorted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns by up to 10°, scales by up to 15 %, moves by up to 0.8 pixels, blurs half of them."""
    result = np.empty_like(images)
    centre = (SIDE - 1) / 2
    for row, image in enumerate(images):
        angle = np.deg2rad(rng.uniform(-10, 10))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn * rng.uniform(0.85, 1.15, size=(1, 2))
        offset = centre - matrix @ [centre, centre] + rng.uniform(-0.8, 0.8, size=2)
        moved = ndimage.affine_transform(image, matrix, offset, order=1)
        result[row] = ndimage.gaussian_filter(moved, rng.choice([0, rng.uniform(0.2, 0.6)]))
    return result


def build_graph(network: MLPClassifier):
    """image FP32 [batch, 1, 8, 8] → probabilities FP32 [batch, 10]"""
    weights, nodes = [], [helper.make_node("Flatten", ["image"], ["hidden0"], axis=1)]
    last = len(network.coefs_) - 1
    for layer, (kernel, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        names = [f"kernel{layer}", f"bias{layer}"]
        for name, value in zip(names, (kernel, bias), strict=True):
            weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        nodes.append(helper.make_node("Gemm", [f"hidden{layer}", *names], [f"sum{layer}"]))
        if layer < last:
            nodes.append(helper.make_node("Relu", [f"sum{layer}"], [f"hidden{layer + 1}"]))
    nodes.append(helper.make_node("Softmax", [f"sum{last}"], ["probabilities"], axis=1))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])
    return helper.make_graph(nodes, "digits", [image], [answer], weights)


def png_of(image: np.ndarray) -> bytes:
    """Ink on paper, each value a square."""
    pixels = 255 - np.rint(image * 255).astype(np.uint8)
    block = PICTURE_SIDE // SIDE
    out = io.BytesIO()
    Image.fromarray(pixels.repeat(block, axis=0).repeat(block, axis=1)).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    rng = np.random.default_rng(SEED)
    data = load_digits()
    images, digits = data.images / MAX_INK, data.target
    train, heldout = train_test_split(
        np.arange(len(digits)), test_size=HELDOUT, random_state=SEED, stratify=digits
    )
    heldout.sort()

    copies = [distorted(images[train], rng) for _ in range(COPIES)]
    pictures = np.concatenate([images[train], *copies]).reshape(-1, SIDE * SIDE)
    network = MLPClassifier((128, 64), alpha=1e-3, max_iter=300, random_state=SEED)
    network.fit(pictures, np.tile(digits[train], COPIES + 1))

    save_model(HERE, build_graph(network), SETTINGS)
    save_samples(
        HERE,
        [
            Sample(f"digit {digits[i]}, sample {i}", f"{digits[i]}-{i}.png", png_of(images[i]), str(digits[i]))
            for i in sorted(rng.choice(heldout, SHOWN, replace=False).tolist())
        ],
    )
    pixels = images[heldout].ravel().tolist()
    request = [Input("image", "FP32", [len(heldout), 1, SIDE, SIDE], pixels)]
    save_heldout(HERE, request, [str(digit) for digit in digits[heldout]])
    save_golden(HERE)
    save_sums(HERE)
    measure(HERE)


if __name__ == "__main__":
    main()
