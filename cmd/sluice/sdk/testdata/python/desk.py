"""What the clients for Python have in common: a test tells each what to ask.

Every line on standard input is a question, as JSON; "do" names what to do. It is answered by one line on standard output:
what the client saw, or the exception that it raised. Base URLs and keys come from the environment.
"""

import asyncio
import json
import sys

from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str
    population: int


# A tool, and the result of its n-th call.
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def result(n):
    return json.dumps({"temperature": 20 + n})


# An image of one pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def options(q):
    """Those of a client that a question asks for, and that OpenAI's and Anthropic's clients share."""
    asked = {}
    if "key" in q:
        asked["api_key"] = q["key"]
    if "retries" in q:
        asked["max_retries"] = q["retries"]
    return asked


def pieces(seen, text, q):
    """Counts the pieces of a stream's text, and says when enough have come."""
    if text:
        seen["text"] += text
        seen["pieces"] += 1
    seen["left"] = seen["pieces"] == q.get("leave_after")
    return seen["left"]


def given_up(ask):
    """Begins to ask, and gives up when the next line comes."""

    async def begin():
        task = asyncio.create_task(ask())
        await asyncio.to_thread(sys.stdin.readline)
        while not task.done():  # asyncio.wait_for, which LangChain uses, may swallow what comes at the same time as data
            task.cancel()
            await asyncio.wait({task}, timeout=0.05)
        try:
            await task
        except asyncio.CancelledError:
            return {"left": True}
        return {}

    return asyncio.run(begin())


async def consume(stream):
    async for _ in stream:
        pass


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


def serve(*known):
    """Answers questions by functions of those names."""
    functions = {f.__name__: f for f in known}
    for line in iter(sys.stdin.readline, ""):
        question = json.loads(line)
        try:
            answer = functions[question["do"]](question)
        except Exception as e:
            answer = failure(e)
        print(json.dumps(answer), flush=True)
