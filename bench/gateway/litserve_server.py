"""LitServe in front of ONNX Runtime: models by name and a port as arguments, one API of each."""

import sys

import litserve
import numpy
import onnxruntime


class OnnxApi(litserve.LitAPI):
    def __init__(self, file, **more):
        super().__init__(**more)
        self.file = file

    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            self.file, options, providers=["CPUExecutionProvider"]
        )

    def decode_request(self, request):
        return numpy.array(request["x"], dtype=numpy.float32)

    def predict(self, x):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, output):
        return {"y": output.tolist()}


if __name__ == "__main__":
    port, *models = sys.argv[1:]
    apis = [OnnxApi(file, api_path=f"/{name}") for name, file in (one.split("=") for one in models)]
    server = litserve.LitServer(apis, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(port), log_level="error", generate_client_file=False)
