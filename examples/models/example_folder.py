"""The files of an example beside its train.py: model/, inputs/, heldout.json, SHA256SUMS.

model/ holds golden vectors besides the model and its settings: held-out inputs and what ONNX Runtime answers them on the CPU.

Requests are those of the Open Inference Protocol in JSON; a request is a list of `Input`, each with the batch first.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np
import onnx
import onnxruntime

# Old enough for every runtime that a node may have.
OPSET = 18
IR_VERSION = 9

SUMS_FILE = "SHA256SUMS"

NUMPY_TYPES = {"FP32": np.float32, "INT64": np.int64, "BYTES": object}

# Rows of each golden vector: one by itself, and a batch.
GOLDEN_ROWS = [1, 3]
# Far above what hardware differs in, far below what would change an answer.
GOLDEN_TOLERANCE = {"absolute": 0.001, "relative": 0.01}


@dataclass(frozen=True)
class Input:
    """One tensor of a request; `data` is flat, in row-major order."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: Sequence[float | int | str]


@dataclass(frozen=True)
class Sample:
    """One held-out case that `swarm up` shows: a picture (bytes of a PNG) or a request of batch 1."""

    name: str
    file: str
    content: bytes | list[Input]
    expected: str


def model_of(graph: onnx.GraphProto, contrib: bool = False) -> onnx.ModelProto:
    """`contrib` permits ONNX Runtime's own operators."""
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    if contrib:
        opsets.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model = onnx.helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="gpu-swarm examples"
    )
    onnx.checker.check_model(model)
    return model


def save_model(folder: Path, graph: onnx.GraphProto, settings: dict, contrib: bool = False) -> None:
    """Writes model/model.onnx and model/swarm.json; `contrib` as in `model_of`."""
    model = model_of(graph, contrib)
    target = _emptied(folder / "model")
    (target / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    _write_json(target / "swarm.json", settings)


def save_samples(folder: Path, samples: Sequence[Sample]) -> None:
    target = _emptied(folder / "inputs")
    for sample in samples:
        if isinstance(sample.content, bytes):
            (target / sample.file).write_bytes(sample.content)
        else:
            _write_json(target / sample.file, _request(sample.content))
    index = [{"name": s.name, "file": s.file, "expected": s.expected} for s in samples]
    _write_json(target / "index.json", index)


def save_notice(folder: Path, name: str, text: str) -> None:
    """After `save_samples`: a licence that must go wherever the data goes."""
    (folder / "inputs" / name).write_text(text, encoding="utf-8")


def save_heldout(folder: Path, inputs: Sequence[Input], expected: Sequence[str]) -> None:
    # One line: the file is read by programs, and 25 600 numbers below each other read no better.
    text = json.dumps({"request": _request(inputs), "expected": list(expected)}, ensure_ascii=False)
    (folder / "heldout.json").write_text(text + "\n", encoding="utf-8")


def save_golden(folder: Path) -> None:
    """After `save_model` and `save_heldout`, whose first rows it runs: writes model/golden.json."""
    options = onnxruntime.SessionOptions()
    # Sums of another number of threads may end in other last digits, and the file's digest tells.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        folder / "model/model.onnx", options, providers=["CPUExecutionProvider"]
    )
    heldout = json.loads((folder / "heldout.json").read_text(encoding="utf-8"))["request"]
    cases = []
    for rows in GOLDEN_ROWS:
        inputs = [_first_rows(tensor, rows) for tensor in heldout["inputs"]]
        feeds = {
            i["name"]: np.array(i["data"], dtype=NUMPY_TYPES[i["datatype"]]).reshape(i["shape"])
            for i in inputs
        }
        outputs = [
            _tensor(output.name, value)
            for output, value in zip(session.get_outputs(), session.run(None, feeds), strict=True)
        ]
        cases.append({"inputs": inputs, "outputs": outputs, "tolerance": GOLDEN_TOLERANCE})
    # A line for each tensor: a page long, and a change shows which.
    text = json.dumps({"cases": cases}, ensure_ascii=False)
    lines = text.replace(', {"name"', ',\n{"name"').replace('[{"name"', '[\n{"name"')
    (folder / "model/golden.json").write_text(lines + "\n", encoding="utf-8")


def save_sums(folder: Path) -> None:
    """Last of all: a line per file written above, in the form that `sha256sum --check` reads."""
    files = [*(folder / "model").iterdir(), *(folder / "inputs").iterdir(), folder / "heldout.json"]
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    lines = [f"{digest_of(folder / name)}  {name}\n" for name in names]
    (folder / SUMS_FILE).write_text("".join(lines), encoding="utf-8")


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _request(inputs: Sequence[Input]) -> dict:
    return {
        "inputs": [
            {"name": i.name, "shape": list(i.shape), "datatype": i.datatype, "data": list(i.data)}
            for i in inputs
        ]
    }


def _first_rows(tensor: dict, rows: int) -> dict:
    size = len(tensor["data"]) // tensor["shape"][0]
    return {**tensor, "shape": [rows, *tensor["shape"][1:]], "data": tensor["data"][: rows * size]}


def _tensor(name: str, value: np.ndarray) -> dict:
    """An output in the protocol's JSON; FP32 in the fewest digits that read back as the same."""
    [datatype] = [d for d, dtype in NUMPY_TYPES.items() if value.dtype == dtype]
    flat = value.ravel().tolist() if datatype != "FP32" else [float(str(v)) for v in value.ravel()]
    return {"name": name, "shape": list(value.shape), "datatype": datatype, "data": flat}


def _emptied(folder: Path) -> Path:
    # A file that an earlier version wrote would become part of the package.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
