"""BentoML in front of ONNX Runtime: one service with a method for each model, whose files the environment names."""

import os

import bentoml
import numpy
import onnxruntime
from bentoml.validators import DType, Shape
from typing import Annotated

Rows = Annotated[numpy.ndarray, DType("float32"), Shape((1, 64))]


def session(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        os.environ[name], options, providers=["CPUExecutionProvider"]
    )


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Models:
    def __init__(self):
        self.sessions = {name: session(f"BENCH_{name.upper()}") for name in ("tiny", "heavy")}

    @bentoml.api(route="/tiny")
    def tiny(self, x: Rows) -> numpy.ndarray:
        return self.sessions["tiny"].run(None, {"x": x})[0]

    @bentoml.api(route="/heavy")
    def heavy(self, x: Rows) -> numpy.ndarray:
        return self.sessions["heavy"].run(None, {"x": x})[0]
