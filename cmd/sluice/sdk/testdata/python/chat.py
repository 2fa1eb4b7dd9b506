"""OpenAI's client for Python, at the chat completions API and what is beside it."""

import openai

from desk import PIXEL, WEATHER, City, consume, failure, given_up, options, pieces, result, serve

TOOL = {"type": "function", "function": WEATHER | {"strict": True}}


def client(q, kind=openai.OpenAI):
    return kind(**options(q))


def request(q):
    content = [
        {"type": "text", "text": q["prompt"]},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}},
    ]
    r = {"model": q["model"], "messages": [{"role": "user", "content": content if q.get("image") else q["prompt"]}]}
    if q.get("effort"):
        r["reasoning_effort"] = q["effort"]
    return r


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
        "thought": getattr(choice.message, "reasoning_content", None),
        "finish": choice.finish_reason,
        "usage": usage(c.usage),
    }


def chat(q):
    return whole(client(q).chat.completions.create(**request(q)))


def stream(q):
    """Iterates over a stream; leaves it after q["leave_after"] pieces of text."""
    asked = {"stream_options": {"include_usage": True}} if q.get("usage") else {}
    seen = {"ids": [], "text": "", "thought": "", "pieces": 0, "usages": 0}
    with client(q).chat.completions.create(**request(q), **asked, stream=True) as chunks:
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
                    seen["thought"] += getattr(choice.delta, "reasoning_content", None) or ""
                    if pieces(seen, choice.delta.content, q):
                        return seen
        except Exception as e:
            return seen | failure(e)
    return seen


def converse(q, ask):
    """Asks, carries out the calls that come, and reports their results."""
    r = request(q)
    r["tools"] = [TOOL]
    first, fragments = ask(r)
    message = first.choices[0].message
    r["messages"].append(message)
    for n, c in enumerate(message.tool_calls):
        r["messages"].append({"role": "tool", "tool_call_id": c.id, "content": result(n)})
    last, _ = ask(r)
    return whole(last) | {
        "thought": whole(first)["thought"],
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
    async def ask():
        answer = await client(q, openai.AsyncOpenAI).chat.completions.create(**request(q), stream=q["stream"])
        if q["stream"]:
            await consume(answer)

    return given_up(ask)


serve(chat, stream, tools, stream_tools, parse, stream_parse, models, model, abandon)
