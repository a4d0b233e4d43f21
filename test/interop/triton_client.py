"""Triton's own clients against a gateway: {"http": "host:port", "grpc": "host:port"} gives what each of them saw."""

import asyncio
import json
import queue
import sys

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as grpcaio
import tritonclient.http as httpclient
import tritonclient.http.aio as httpaio
from tritonclient.utils import InferenceServerException

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.ones((1, 16), dtype=np.int32)


def simple_inputs(library, **how):
    inputs = []
    for name, data in (("INPUT0", A), ("INPUT1", B)):
        tensor = library.InferInput(name, list(data.shape), "INT32")
        tensor.set_data_from_numpy(data, **how)
        inputs.append(tensor)
    return inputs


def sums(result):
    return [result.as_numpy("OUTPUT0").tolist(), result.as_numpy("OUTPUT1").tolist()]


def identity_input(library, datatype, data, **how):
    tensor = library.InferInput("x", list(data.shape), datatype)
    tensor.set_data_from_numpy(data, **how)
    return [tensor]


def failure(call):
    try:
        call()
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def identities(client, library):
    """Values as text: JSON would round some of them."""
    half = np.array([[0.5, -2]], np.float16)
    floats = np.array([[np.nan, np.inf]], np.float32)
    wide = np.array([[2**63 - 1, -(2**53) - 1]], np.int64)
    text = np.array([["añb", ""]], dtype=np.object_)
    return {
        datatype: str(
            client.infer(model, identity_input(library, datatype, data)).as_numpy("y").tolist()
        )
        for model, datatype, data in (
            ("fp16", "FP16", half),
            ("fp32", "FP32", floats),
            ("int64", "INT64", wide),
            ("bytes", "BYTES", text),
        )
    }


def health(client):
    return [client.is_server_live(), client.is_server_ready(), client.is_model_ready("simple")]


def http(url):
    with httpclient.InferenceServerClient(url, concurrency=4) as client:
        seen = {
            "health": health(client),
            "metadata": client.get_server_metadata()["extensions"],
            "model": client.get_model_metadata("simple"),
            "config": client.get_model_config("simple")["max_batch_size"],
            "index": [model["state"] for model in client.get_model_repository_index()],
            "binary": sums(client.infer("simple", simple_inputs(httpclient), request_id="mine")),
        }
        in_json = [httpclient.InferRequestedOutput(name, binary_data=False) for name in ("OUTPUT0", "OUTPUT1")]
        result = client.infer("simple", simple_inputs(httpclient, binary_data=False), outputs=in_json)
        seen["json"] = sums(result)
        seen["compressed"] = {
            how: sums(
                client.infer(
                    "simple",
                    simple_inputs(httpclient),
                    request_compression_algorithm=how,
                    response_compression_algorithm=how,
                )
            )
            for how in ("gzip", "deflate")
        }
        pending = [client.async_infer("simple", simple_inputs(httpclient)) for _ in range(8)]
        seen["async"] = [sums(call.get_result()) for call in pending]
        seen["identities"] = identities(client, httpclient)
        quoted = httpclient.InferRequestedOutput("y", binary_data=False)
        floats = identity_input(httpclient, "FP32", np.array([[np.nan, -np.inf]], np.float32))
        seen["quoted"] = str(client.infer("fp32", floats, outputs=[quoted]).as_numpy("y").tolist())
        ranked = httpclient.InferRequestedOutput("OUTPUT0", class_count=2)
        classes = client.infer("simple", simple_inputs(httpclient), outputs=[ranked])
        seen["classes"] = [text.decode() for text in classes.as_numpy("OUTPUT0")[0]]
        seen["unknown"] = failure(lambda: client.infer("nothing", simple_inputs(httpclient)))
        seen["missing"] = failure(lambda: client.infer("simple", simple_inputs(httpclient)[:1]))
        seen["statistics"] = client.get_inference_statistics("simple")["model_stats"][0]["inference_stats"]["success"]["count"] > 0
        return seen


def grpc(url):
    with grpcclient.InferenceServerClient(url) as client:
        seen = {
            "health": health(client),
            "metadata": list(client.get_server_metadata().extensions),
            "model": client.get_model_metadata("simple", as_json=True),
            "config": client.get_model_config("simple").config.max_batch_size,
            "index": [model.state for model in client.get_model_repository_index().models],
            "binary": sums(client.infer("simple", simple_inputs(grpcclient), request_id="mine", priority=1, timeout=5_000_000)),
            "identities": identities(client, grpcclient),
            "unknown": failure(lambda: client.infer("nothing", simple_inputs(grpcclient))),
            "missing": failure(lambda: client.infer("simple", simple_inputs(grpcclient)[:1])),
            "statistics": client.get_inference_statistics("simple").model_stats[0].inference_stats.success.count > 0,
            "compressed": {
                how: sums(client.infer("simple", simple_inputs(grpcclient), compression_algorithm=how))
                for how in ("gzip", "deflate")
            },
        }
        ranked = grpcclient.InferRequestedOutput("OUTPUT0", class_count=2)
        classes = client.infer("simple", simple_inputs(grpcclient), outputs=[ranked])
        seen["classes"] = [text.decode() for text in classes.as_numpy("OUTPUT0")[0]]
        answers = queue.Queue()
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        for index in range(8):
            client.async_stream_infer("simple", simple_inputs(grpcclient), request_id=str(index))
        client.async_stream_infer("nothing", simple_inputs(grpcclient), request_id="bad")
        taken = [answers.get(timeout=20) for _ in range(9)]
        client.stop_stream()
        seen["stream"] = [result.get_response().id for result, error in taken if error is None]
        seen["streamed"] = all(sums(result) == seen["binary"] for result, error in taken if error is None)
        seen["stream_error"] = [error.message() for result, error in taken if error is not None]
        return seen


async def aio(client, library):
    answers = await asyncio.gather(*(client.infer("simple", simple_inputs(library)) for _ in range(8)))
    seen = {"live": await client.is_server_live(), "answers": [sums(answer) for answer in answers]}
    await client.close()
    return seen


async def both_aio(urls):
    return {
        "http": await aio(httpaio.InferenceServerClient(urls["http"]), httpaio),
        "grpc": await aio(grpcaio.InferenceServerClient(urls["grpc"]), grpcaio),
    }


urls = json.load(sys.stdin)
seen = {"http": http(urls["http"]), "grpc": grpc(urls["grpc"]), "aio": asyncio.run(both_aio(urls))}
json.dump(seen, sys.stdout)
