"""LangChain's ChatOpenAI and OpenAIEmbeddings. The argument names the API that it is to use."""

import json
import sys
import warnings

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from desk import PIXEL, WEATHER, City, consume, failure, given_up, pieces, result, serve

# It warns of a type of its own when it streams what it has parsed.
warnings.filterwarnings("ignore", message="Pydantic serializer warnings")

RESPONSES = sys.argv[1] == "responses"
TOOL = {"type": "function", "function": WEATHER | {"strict": True}}


def llm(q):
    options = {"model": q["model"], "use_responses_api": RESPONSES, "max_retries": q.get("retries", 2), "stream_usage": True}
    if "key" in q:
        options["api_key"] = q["key"]
    if q.get("effort"):
        effort = q["effort"]
        options |= {"reasoning": {"effort": effort, "summary": "auto"}} if RESPONSES else {"reasoning_effort": effort}
    return ChatOpenAI(**options)


def asked(q):
    content = [{"type": "text", "text": q["prompt"]}]
    if q.get("image"):
        content.append({"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}})
    return [HumanMessage(content=content)]


def usage(u):
    return u and {"input": u["input_tokens"], "output": u["output_tokens"], "total": u["total_tokens"]}


def finish(m):
    return m.response_metadata.get("finish_reason") or m.response_metadata.get("status")


def thought(m):
    return "".join(b.get("reasoning", "") for b in m.content_blocks if b["type"] == "reasoning")


def whole(m):
    """What can be said of an answer that is all there."""
    return {
        "id": m.response_metadata.get("id") or m.id,
        "model": m.response_metadata.get("model_name"),
        "text": m.text,
        "thought": thought(m),
        "finish": finish(m),
        "usage": usage(m.usage_metadata),
    }


def chat(q):
    return whole(llm(q).invoke(asked(q)))


def stream(q):
    seen = {"ids": [], "text": "", "pieces": 0, "usages": 0}
    gathered = None
    chunks = llm(q).stream(asked(q))
    try:
        for m in chunks:
            gathered = gathered + m if gathered else m
            if pieces(seen, m.text, q):
                chunks.close()
                return seen
    except Exception as e:
        return seen | failure(e)
    return whole(gathered) | {"ids": [whole(gathered)["id"]], "pieces": seen["pieces"]}


def gather(chunks):
    gathered, fragments = None, 0
    for m in chunks:
        gathered = gathered + m if gathered else m
        fragments += sum(1 for c in m.tool_call_chunks if c["args"])
    return gathered, fragments


def converse(q, ask):
    """Asks, carries out the calls that come, and reports their results."""
    bound = llm(q).bind_tools([TOOL])
    messages = asked(q)
    first, fragments = ask(bound, messages)
    messages.append(first)
    messages += [ToolMessage(content=result(n), tool_call_id=c["id"]) for n, c in enumerate(first.tool_calls)]
    last, _ = ask(bound, messages)
    return whole(last) | {
        "thought": thought(first),
        "finishes": [finish(first), finish(last)],
        "calls": [
            {"id": c["id"], "name": c["name"], "arguments": json.dumps(c["args"], separators=(",", ":"))}
            for c in first.tool_calls
        ],
        "fragments": fragments,
    }


def tools(q):
    return converse(q, lambda bound, messages: (bound.invoke(messages), 0))


def stream_tools(q):
    return converse(q, lambda bound, messages: gather(bound.stream(messages)))


def parse(q):
    both = llm(q).with_structured_output(City, method="json_schema", include_raw=True).invoke(asked(q))
    return whole(both["raw"]) | {"parsed": both["parsed"].model_dump()}


def stream_parse(q):
    structured = llm(q).with_structured_output(City, method="json_schema", include_raw=True)
    both = None
    for part in structured.stream(asked(q)):
        both = both + part if both else part
    return whole(both["raw"]) | {"parsed": both["parsed"].model_dump()}


def embeddings(q):
    # Its tokenizer would fetch a vocabulary from the internet.
    embedder = OpenAIEmbeddings(model=q["model"], check_embedding_ctx_length=False)
    return {"vectors": embedder.embed_documents([q["prompt"]])}


def abandon(q):
    chain = llm(q)
    return given_up(lambda: consume(chain.astream(asked(q))) if q["stream"] else chain.ainvoke(asked(q)))


serve(chat, stream, tools, stream_tools, parse, stream_parse, embeddings, abandon)
