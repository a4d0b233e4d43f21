"""Load as perf_analyzer makes it, by Triton's own clients: {"http": …, "grpc": …, "callers": n, "requests": n} gives what became of the requests of each.

Every caller sends its next request when the last one was answered, and no two requests are equal, so that an answer to another is found out.
"""

import json
import sys
import threading
import time

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient


def load(library, url, callers, requests):
    client = library.InferenceServerClient(url)
    # What perf_analyzer asks before it begins, and without which it does not.
    as_json = {"as_json": True} if library is grpcclient else {}
    config = client.get_model_config("simple", **as_json)
    largest = config.get("config", config)["max_batch_size"]
    names = [one["name"] for one in client.get_model_metadata("simple", **as_json)["inputs"]]
    client.close()
    lock = threading.Lock()
    seen = {"answered": 0, "wrong": 0, "failures": []}
    latencies = []

    def call(caller):
        own = library.InferenceServerClient(url)
        for number in range(requests):
            rows = 1 + (caller + number) % largest
            a = np.full((rows, 16), caller * requests + number, np.int32)
            b = np.arange(rows * 16, dtype=np.int32).reshape(rows, 16)
            tensors = []
            for name, data in zip(names, (a, b)):
                tensor = library.InferInput(name, list(data.shape), "INT32")
                tensor.set_data_from_numpy(data)
                tensors.append(tensor)
            began = time.perf_counter()
            try:
                result = own.infer("simple", tensors)
                right = np.array_equal(result.as_numpy("OUTPUT0"), a + b) and np.array_equal(
                    result.as_numpy("OUTPUT1"), a - b
                )
                with lock:
                    latencies.append(time.perf_counter() - began)
                    seen["answered" if right else "wrong"] += 1
            except Exception as error:
                with lock:
                    seen["failures"].append(str(error))
        own.close()

    began = time.perf_counter()
    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    latencies.sort()
    return {
        **seen,
        "requests_per_second": round(len(latencies) / seconds, 1),
        "p50_ms": round(1000 * latencies[len(latencies) // 2], 2),
    }


asked = json.load(sys.stdin)
json.dump(
    {
        "http": load(httpclient, asked["http"], asked["callers"], asked["requests"]),
        "grpc": load(grpcclient, asked["grpc"], asked["callers"], asked["requests"]),
    },
    sys.stdout,
)
