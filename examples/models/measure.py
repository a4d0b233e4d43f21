"""Runs what lies on disk, as a caller would: `python measure.py digits` checks SHA256SUMS and prints the accuracy.

heldout.json goes in as one batch; each file of inputs/ goes in by itself, a picture by way of the preprocessing of
swarm.json.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from example_folder import NUMPY_TYPES, SUMS_FILE, digest_of

PILLOW_KERNELS = {
    "nearest": Image.Resampling.NEAREST,
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


def measure(folder: Path) -> float:
    """Prints one line for heldout.json and one for inputs/.

    :returns: accuracy on heldout.json, 0 to 1
    """
    check_sums(folder)
    settings = json.loads((folder / "model/swarm.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(
        folder / "model/model.onnx", providers=["CPUExecutionProvider"]
    )
    heldout = json.loads((folder / "heldout.json").read_text(encoding="utf-8"))
    answers = _answers(session, settings, _feeds(heldout["request"]))
    expected = heldout["expected"]
    if len(answers) != len(expected):
        raise SystemExit(f"heldout.json expects {len(expected)} answers, the model gave {len(answers)}")
    right = sum(a == e for a, e in zip(answers, expected, strict=True))
    accuracy = right / len(expected)
    print(f"{folder.name}: held out {right}/{len(expected)} = {accuracy:.1%}")

    index = json.loads((folder / "inputs/index.json").read_text(encoding="utf-8"))
    for sample in index:
        content = (folder / "inputs" / sample["file"]).read_bytes()
        if sample["file"].endswith(".png"):
            feeds = _picture_feeds(content, settings["preprocessing"])
        else:
            feeds = _feeds(json.loads(content))
        [answer] = _answers(session, settings, feeds)
        mark = "right" if answer == sample["expected"] else f"wrong, expected {sample['expected']}"
        print(f"  {sample['name']}: {answer} ({mark})")
    return accuracy


def check_sums(folder: Path) -> None:
    for line in (folder / SUMS_FILE).read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ", 1)
        found = digest_of(folder / name)
        if found != digest:
            raise SystemExit(f"{folder.name}/{name} has SHA-256 {found}, {SUMS_FILE} says {digest}")


def _feeds(request: dict) -> dict[str, np.ndarray]:
    return {
        i["name"]: np.array(i["data"], dtype=NUMPY_TYPES[i["datatype"]]).reshape(i["shape"])
        for i in request["inputs"]
    }


def _picture_feeds(content: bytes, preprocessing: dict) -> dict[str, np.ndarray]:
    """What the pictures here need of the preprocessing: gray, NCHW, `fill`, no mean and no std."""
    size = (preprocessing["width"], preprocessing["height"])
    picture = Image.open(io.BytesIO(content)).convert("L")
    pixels = np.asarray(picture.resize(size, PILLOW_KERNELS[preprocessing.get("kernel", "linear")]))
    if preprocessing.get("invert", False):
        pixels = 255 - pixels
    values = pixels.astype(np.float32) * np.float32(preprocessing.get("scale", 1 / 255))
    return {preprocessing["input"]: values[np.newaxis, np.newaxis]}


def _answers(
    session: onnxruntime.InferenceSession, settings: dict, feeds: dict[str, np.ndarray]
) -> list[str]:
    """The class label per row of the batch."""
    answer = settings["answer"]
    [output] = session.run([answer["output"]], feeds)
    if answer["kind"] == "label":
        return output.tolist()
    best = output[:, 0] if answer["kind"] == "ranking" else output.argmax(axis=-1)
    return [settings["classLabels"][index] for index in best]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python measure.py <example>…, expected at least one of digits, language, travel")
    for name in sys.argv[1:]:
        measure(Path(__file__).parent / name)
