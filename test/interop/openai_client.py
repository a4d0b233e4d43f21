"""Calls a gateway by OpenAI's own client: its address on standard input, what came back on standard output."""

import asyncio
import json
import sys

import openai


def failure(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {
            "kind": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "request": error.request_id is not None,
        }
    return {}


def vectors(answer):
    return [item.embedding for item in answer.data]


def sync(url, key):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key)
    texts = ["The cats!", "dog"]
    answer = client.embeddings.create(model="words", input=texts)
    floats = client.embeddings.create(model="words", input=texts, encoding_format="float")
    cut = client.embeddings.create(model="words", input="dog", dimensions=2)
    chat = {"messages": [{"role": "user", "content": "hello"}]}
    return {
        "models": [model.id.split("/")[1] for model in client.models.list()],
        "model": client.models.retrieve("words").id,
        "default": vectors(answer),
        "float": vectors(floats),
        "tokens": answer.usage.total_tokens,
        "cut": len(cut.data[0].embedding),
        "unknown": failure(lambda: client.embeddings.create(model="nothing", input="dog")),
        "wrong": failure(lambda: client.embeddings.create(model="words", input="dog", dimensions=99)),
        "chat": failure(lambda: client.chat.completions.create(model="words", **chat)),
        "no_chat": failure(lambda: client.chat.completions.create(model="nothing", **chat)),
        "no_key": failure(lambda: openai.OpenAI(base_url=f"{url}/v1", api_key="wrong").models.list()),
    }


async def aio(url, key):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key) as client:
        calls = [client.embeddings.create(model="words", input="dog") for _ in range(8)]
        return [len(answer.data[0].embedding) for answer in await asyncio.gather(*calls)]


given = json.load(sys.stdin)
seen = sync(given["http"], given["key"])
seen["async"] = asyncio.run(aio(given["http"], given["key"]))
json.dump(seen, sys.stdout)
