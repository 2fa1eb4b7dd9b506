"""OpenAI's Python client, told by a test what to ask.

Every line on standard input is a question, as JSON; "do" names one of the functions below. It is answered by one line on
standard output: what the client saw, or the exception that it raised. The base URL and the key come from the environment,
as OPENAI_BASE_URL and OPENAI_API_KEY.
"""

import asyncio
import json
import sys

import openai
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str
    population: int


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def client(q, kind=openai.OpenAI):
    options = {}
    if "key" in q:
        options["api_key"] = q["key"]
    if "retries" in q:
        options["max_retries"] = q["retries"]
    return kind(**options)


def request(q):
    return {"model": q["model"], "messages": [{"role": "user", "content": q["prompt"]}]}


def usage(u):
    return u and {"input": u.prompt_tokens, "output": u.completion_tokens, "total": u.total_tokens}


def calls(message):
    return [
        {"id": c.id, "name": c.function.name, "arguments": c.function.arguments}
        for c in message.tool_calls or []
    ]


def whole(c):
    """What can be said of an answer that is all there."""
    choice = c.choices[0]
    return {
        "id": c.id,
        "model": c.model,
        "request_id": getattr(c, "_request_id", None),
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "usage": usage(c.usage),
    }


def chat(q):
    return whole(client(q).chat.completions.create(**request(q)))


def stream(q):
    """Iterates over a stream; leaves it after q["leave_after"] pieces of text."""
    options = {"stream_options": {"include_usage": True}} if q.get("usage") else {}
    seen = {"ids": [], "text": "", "pieces": 0, "usages": 0}
    with client(q).chat.completions.create(**request(q), **options, stream=True) as chunks:
        seen["request_id"] = chunks.response.headers.get("x-request-id")
        try:
            for c in chunks:
                if c.id not in seen["ids"]:
                    seen["ids"].append(c.id)
                seen["id"], seen["model"] = c.id, c.model
                seen["usage_last"] = c.usage is not None and c.choices == []
                if c.usage:
                    seen["usages"] += 1
                    seen["usage"] = usage(c.usage)
                for choice in c.choices:
                    seen["finish"] = choice.finish_reason or seen.get("finish")
                    if choice.delta.content:
                        seen["text"] += choice.delta.content
                        seen["pieces"] += 1
                if seen["pieces"] == q.get("leave_after"):
                    return seen | {"left": True}
        except Exception as e:
            return seen | failure(e)
    return seen


def converse(q, ask):
    """Asks, carries out the calls that come, and reports their results."""
    r = request(q)
    r["tools"] = [WEATHER]
    first, fragments = ask(r)
    message = first.choices[0].message
    r["messages"].append(message)
    for n, c in enumerate(message.tool_calls):
        result = json.dumps({"temperature": 20 + n})
        r["messages"].append({"role": "tool", "tool_call_id": c.id, "content": result})
    last, _ = ask(r)
    return whole(last) | {
        "finishes": [first.choices[0].finish_reason, last.choices[0].finish_reason],
        "calls": calls(message),
        "fragments": fragments,
    }


def tools(q):
    return converse(q, lambda r: (client(q).chat.completions.create(**r), 0))


def stream_tools(q):
    def ask(r):
        fragments = 0
        with client(q).chat.completions.stream(**r) as events:
            for e in events:
                fragments += e.type == "tool_calls.function.arguments.delta"
            return events.get_final_completion(), fragments

    return converse(q, ask)


def parse(q):
    c = client(q).chat.completions.parse(**request(q), response_format=City)
    return whole(c) | {"parsed": c.choices[0].message.parsed.model_dump()}


def stream_parse(q):
    with client(q).chat.completions.stream(**request(q), response_format=City) as events:
        c = events.get_final_completion()
    return whole(c) | {"parsed": c.choices[0].message.parsed.model_dump()}


def models(q):
    return {"models": [m.id for m in client(q).models.list()]}


def model(q):
    m = client(q).models.retrieve(q["model"])
    return {"id": m.id, "owner": m.owned_by, "request_id": m._request_id}


def abandon(q):
    """Asks, and gives up when the next line comes."""

    async def ask():
        answer = await client(q, openai.AsyncOpenAI).chat.completions.create(**request(q), stream=q.get("stream", False))
        if q.get("stream"):
            async for _ in answer:
                pass

    async def begin():
        task = asyncio.create_task(ask())
        await asyncio.to_thread(sys.stdin.readline)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return {"left": True}
        return {}

    return asyncio.run(begin())


def failure(e):
    response = getattr(e, "response", None)
    return {
        "request_id": response.headers.get("x-request-id") if response is not None else None,
        "error": {
            "class": type(e).__name__,
            "status": getattr(e, "status_code", 0),
            "code": getattr(e, "code", None),
            "type": getattr(e, "type", None),
            "message": str(e),
        },
    }


DO = {
    "chat": chat,
    "stream": stream,
    "tools": tools,
    "stream_tools": stream_tools,
    "parse": parse,
    "stream_parse": stream_parse,
    "models": models,
    "model": model,
    "abandon": abandon,
}

for line in iter(sys.stdin.readline, ""):
    question = json.loads(line)
    try:
        answer = DO[question["do"]](question)
    except Exception as e:
        answer = failure(e)
    print(json.dumps(answer), flush=True)
