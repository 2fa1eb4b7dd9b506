"""OpenAI's client for Python, at the Responses API."""

import openai

from desk import PIXEL, WEATHER, City, consume, failure, given_up, options, pieces, result, serve

TOOL = {"type": "function", **WEATHER, "strict": True}


def client(q, kind=openai.OpenAI):
    return kind(**options(q))


def request(q):
    content = [
        {"type": "input_text", "text": q["prompt"]},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + PIXEL},
    ]
    r = {"model": q["model"], "input": [{"role": "user", "content": content if q.get("image") else q["prompt"]}]}
    if q.get("effort"):
        r |= {"reasoning": {"effort": q["effort"], "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    return r


def usage(u):
    return u and {"input": u.input_tokens, "output": u.output_tokens, "total": u.total_tokens}


def calls(response):
    return [
        {"id": i.call_id, "name": i.name, "arguments": i.arguments}
        for i in response.output
        if i.type == "function_call"
    ]


def thought(response):
    return "".join(s.text for i in response.output if i.type == "reasoning" for s in i.summary)


def whole(r):
    """What can be said of an answer that is all there."""
    return {
        "id": r.id,
        "model": r.model,
        "request_id": getattr(r, "_request_id", None),
        "text": r.output_text,
        "thought": thought(r),
        "finish": r.status,
        "usage": usage(r.usage),
    }


def chat(q):
    return whole(client(q).responses.create(**request(q)))


def stream(q):
    seen = {"ids": [], "text": "", "thought": "", "pieces": 0, "usages": 0}
    with client(q).responses.create(**request(q), stream=True) as events:
        seen["request_id"] = events.response.headers.get("x-request-id")
        try:
            for number, e in enumerate(events):
                seen["unordered"] = seen.get("unordered", False) or e.sequence_number != number
                take(seen, e)
                if e.type == "response.output_text.delta" and pieces(seen, e.delta, q) or "error" in seen:
                    return seen
        except Exception as e:
            return seen | failure(e)
    return seen


def take(seen, e):
    response = getattr(e, "response", None)
    if response:
        seen["id"], seen["model"] = response.id, response.model
        if response.id not in seen["ids"]:
            seen["ids"].append(response.id)
    if e.type == "response.reasoning_summary_text.delta":
        seen["thought"] += e.delta
    if e.type == "response.completed":
        seen["finish"], seen["usage"] = response.status, usage(response.usage)
    if e.type == "response.failed":
        seen["error"] = {"class": e.type, "code": response.error.code, "type": e.type, "message": response.error.message}
    if e.type == "error":
        seen["error"] = {"class": e.type, "code": e.code, "type": e.type, "message": e.message}


def given(response):
    return [
        {"type": "function_call_output", "call_id": c["id"], "output": result(n)}
        for n, c in enumerate(calls(response))
    ]


def both(first, last, fragments):
    return whole(last) | {
        "thought": thought(first),
        "finishes": [first.status, last.status],
        "calls": calls(first),
        "fragments": fragments,
    }


def tools(q):
    """Sends the whole conversation with the results."""
    r = request(q) | {"tools": [TOOL], "store": False}
    first = client(q).responses.create(**r)
    r["input"] += first.output + given(first)
    return both(first, client(q).responses.create(**r), 0)


def stream_tools(q):
    """Leaves the conversation to the other side."""

    def ask(**r):
        fragments = 0
        with client(q).responses.stream(**(request(q) | {"tools": [TOOL]} | r)) as events:
            for e in events:
                fragments += e.type == "response.function_call_arguments.delta"
            return events.get_final_response(), fragments

    first, fragments = ask()
    last, _ = ask(input=given(first), previous_response_id=first.id)
    return both(first, last, fragments)


def parse(q):
    r = client(q).responses.parse(**request(q), text_format=City)
    return whole(r) | {"parsed": r.output_parsed.model_dump()}


def stream_parse(q):
    with client(q).responses.stream(**request(q), text_format=City) as events:
        r = events.get_final_response()
    return whole(r) | {"parsed": r.output_parsed.model_dump()}


def stored(q):
    """Asks for an answer again, for what it answered, cancels it too late, and deletes it."""
    c = client(q)
    first = c.responses.create(**request(q))
    again = c.responses.retrieve(first.id)
    items = list(c.responses.input_items.list(first.id))
    late = attempt(c.responses.cancel, first.id)
    c.responses.delete(first.id)
    gone = attempt(c.responses.retrieve, first.id)
    return whole(again) | {
        "finishes": [first.output_text, items[0].content[0].text],
        "said": [late.get("error", {}).get("code", "")],
        "error": gone.get("error"),
    }


def attempt(ask, id):
    try:
        return whole(ask(id))
    except openai.APIError as e:
        return failure(e)


def abandon(q):
    async def ask():
        answer = await client(q, openai.AsyncOpenAI).responses.create(**request(q), stream=q["stream"])
        if q["stream"]:
            await consume(answer)

    return given_up(ask)


serve(chat, stream, tools, stream_tools, parse, stream_parse, stored, abandon)
