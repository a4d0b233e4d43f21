"""Calls a gateway by KServe's own client: addresses on standard input, what came back on standard output."""

import asyncio
import json
import sys

import numpy
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

COUNT = numpy.arange(16, dtype=numpy.int32).reshape(1, 16)
ONES = numpy.ones((1, 16), dtype=numpy.int32)


def request(model, binary):
    inputs = []
    for name, value in (("INPUT0", COUNT), ("INPUT1", ONES)):
        tensor = InferInput(name, list(value.shape), "INT32")
        tensor.set_data_from_numpy(value, binary_data=binary)
        inputs.append(tensor)
    return InferRequest(model, inputs, request_id="mine")


def sums(response):
    return [output.as_numpy().tolist() for output in response.outputs]


async def failure(call):
    try:
        await call
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


async def rest(url):
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    seen = {
        "health": [
            await client.is_server_live(url),
            await client.is_server_ready(url),
            await client.is_model_ready(url, "simple"),
        ],
        "json": sums(await client.infer(url, request("simple", False), model_name="simple")),
        "binary": sums(await client.infer(url, request("simple", True), model_name="simple")),
        "unknown": await failure(client.infer(url, request("nothing", False), model_name="nothing")),
    }
    await client.close()
    return seen


async def grpc(address):
    client = InferenceGRPCClient(address, retries=0)
    answered = await client.infer(request("simple", True))
    seen = {
        "health": [
            await client.is_server_live(),
            await client.is_server_ready(),
            await client.is_model_ready("simple"),
        ],
        "id": answered.id,
        "typed": sums(await client.infer(request("simple", False))),
        "binary": sums(answered),
        "unknown": await failure(client.infer(request("nothing", True))),
    }
    await client.close()
    return seen


async def main():
    given = json.load(sys.stdin)
    seen = {"rest": await rest(given["http"]), "grpc": await grpc(given["grpc"])}
    json.dump(seen, sys.stdout)


asyncio.run(main())
