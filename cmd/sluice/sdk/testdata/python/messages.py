"""Anthropic's client for Python, at the Messages API."""

import json

import anthropic

from desk import PIXEL, WEATHER, City, consume, failure, given_up, options, pieces, result, serve

TOOL = {"name": WEATHER["name"], "description": WEATHER["description"], "input_schema": WEATHER["parameters"]}


def client(q, kind=anthropic.Anthropic):
    return kind(**options(q))


def request(q):
    content = [
        {"type": "text", "text": q["prompt"]},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    ]
    content = content if q.get("image") else q["prompt"]
    r = {"model": q["model"], "max_tokens": 4096, "messages": [{"role": "user", "content": content}]}
    if q.get("effort"):
        r["thinking"] = {"type": "adaptive", "display": "summarized"}
        r["output_config"] = {"effort": q["effort"]}
    return r


def usage(u):
    total = (u.input_tokens or 0) + (u.cache_read_input_tokens or 0) + (u.cache_creation_input_tokens or 0)
    return {"input": total, "output": u.output_tokens, "total": total + u.output_tokens}


def calls(m):
    return [
        {"id": b.id, "name": b.name, "arguments": json.dumps(b.input, separators=(",", ":"))}
        for b in m.content
        if b.type == "tool_use"
    ]


def thought(m):
    return "".join(b.thinking for b in m.content if b.type == "thinking")


def whole(m):
    """What can be said of an answer that is all there."""
    return {
        "id": m.id,
        "model": m.model,
        "request_id": getattr(m, "_request_id", None),
        "text": "".join(b.text for b in m.content if b.type == "text"),
        "thought": thought(m),
        "finish": m.stop_reason,
        "usage": usage(m.usage),
    }


def chat(q):
    return whole(client(q).messages.create(**request(q)))


def stream(q):
    seen = {"ids": [], "text": "", "thought": "", "pieces": 0, "usages": 0}
    with client(q).messages.create(**request(q), stream=True) as events:
        seen["request_id"] = events.response.headers.get("request-id")
        try:
            for e in events:
                if e.type == "message_start":
                    seen["id"], seen["model"] = e.message.id, e.message.model
                    seen["ids"].append(e.message.id)
                elif e.type == "message_delta":
                    seen["finish"], seen["usage"] = e.delta.stop_reason, usage(e.usage)
                elif e.type == "content_block_delta":
                    seen["thought"] += getattr(e.delta, "thinking", "")
                    if pieces(seen, getattr(e.delta, "text", ""), q):
                        return seen
        except Exception as e:
            return seen | failure(e)
    return seen


def converse(q, ask):
    """Asks, carries out the calls that come, and reports their results."""
    r = request(q) | {"tools": [TOOL]}
    first, fragments = ask(r)
    r["messages"].append({"role": first.role, "content": first.content})
    results = [
        {"type": "tool_result", "tool_use_id": c["id"], "content": result(n)} for n, c in enumerate(calls(first))
    ]
    r["messages"].append({"role": "user", "content": results})
    last, _ = ask(r)
    return whole(last) | {
        "thought": thought(first),
        "finishes": [first.stop_reason, last.stop_reason],
        "calls": calls(first),
        "fragments": fragments,
    }


def tools(q):
    return converse(q, lambda r: (client(q).messages.create(**r), 0))


def stream_tools(q):
    def ask(r):
        fragments = 0
        with client(q).messages.stream(**r) as events:
            for e in events:
                fragments += e.type == "input_json"
            return events.get_final_message(), fragments

    return converse(q, ask)


def loop(q):
    """Leaves the calls, and the reports of their results, to the client."""

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return result(["Paris", "London"].index(city))

    runner = client(q).beta.messages.tool_runner(**request(q), tools=[get_weather], stream=q["stream"])
    first, last = [m.get_final_message() if q["stream"] else m for m in runner]
    return whole(last) | {"finishes": [first.stop_reason, last.stop_reason], "calls": calls(first)}


def parse(q):
    m = client(q).messages.parse(**request(q), output_format=City)
    return whole(m) | {"parsed": m.parsed_output.model_dump()}


def stream_parse(q):
    with client(q).messages.stream(**request(q), output_format=City) as events:
        m = events.get_final_message()
    return whole(m) | {"parsed": m.parsed_output.model_dump()}


def models(q):
    return {"models": [m.id for m in client(q).models.list()]}


def model(q):
    m = client(q).models.retrieve(q["model"])
    return {"id": m.id, "model": m.display_name, "request_id": m._request_id}


def count(q):
    r = request(q)
    del r["max_tokens"]
    return {"count": client(q).messages.count_tokens(**r).input_tokens}


def abandon(q):
    async def ask():
        answer = await client(q, anthropic.AsyncAnthropic).messages.create(**request(q), stream=q["stream"])
        if q["stream"]:
            await consume(answer)

    return given_up(ask)


serve(chat, stream, tools, stream_tools, parse, stream_parse, models, model, count, abandon, loop)
