"""Python's ONNX Runtime and ONNX's checker: runs {"model"} on each of {"cases"}, tensors as the Open Inference Protocol has them."""

import json
import sys

import numpy
import onnx
import onnxruntime

DATATYPES = {"BOOL": "bool", "BYTES": "object", "FP16": "float16", "FP32": "float32", "FP64": "float64"}
DATATYPES |= {f"{kind}{bits}": f"{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)}

request = json.load(sys.stdin)
# By its path, so that external data is looked for beside it.
onnx.checker.check_model(request["model"], full_check=True)
session = onnxruntime.InferenceSession(request["model"], providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]


def run(inputs):
    feeds = {
        tensor["name"]: numpy.array(tensor["data"], dtype=DATATYPES[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in inputs
    }
    outputs = session.run(names, feeds)
    return [
        {"name": name, "shape": list(value.shape), "data": value.flatten().tolist()}
        for name, value in zip(names, outputs)
    ]


json.dump([run(inputs) for inputs in request["cases"]], sys.stdout)
