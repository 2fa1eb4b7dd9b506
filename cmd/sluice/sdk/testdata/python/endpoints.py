"""OpenAI's client for Python, at the endpoints that hold no conversations."""

import base64

import openai

from desk import PIXEL, failure, options, serve


def client(q):
    """Names the provider where no model does."""
    headers = {"x-sluice-provider": q["provider"]} if "provider" in q else {}
    return openai.OpenAI(**options(q), default_headers=headers)


def embeddings(q):
    """Asks in the client's own way, which is base64, and for numbers."""
    r = {"model": q["model"], "input": [q["prompt"]]}
    own = client(q).embeddings.create(**r)
    numbers = client(q).embeddings.create(**r, encoding_format="float")
    return {"vectors": [own.data[0].embedding, numbers.data[0].embedding]}


def complete(q):
    r = {"model": q["model"], "prompt": q["prompt"]}
    whole = client(q).completions.create(**r)
    streamed = client(q).completions.create(**r, stream=True)
    return {"said": [whole.choices[0].text, "".join(c.choices[0].text for c in streamed)]}


def moderate(q):
    result = client(q).moderations.create(model=q["model"], input=q["prompt"]).results[0]
    return {"said": [name for name, found in result.categories.model_dump(by_alias=True).items() if found]}


def picture(q):
    made = client(q).images.generate(model=q["model"], prompt=q["prompt"])
    image = ("pixel.png", base64.b64decode(PIXEL), "image/png")
    edited = client(q).images.edit(model=q["model"], prompt=q["prompt"], image=image)
    return {"said": [made.data[0].b64_json, edited.data[0].b64_json]}


def sound(q):
    spoken = client(q).audio.speech.create(model=q["model"], voice="alloy", input=q["prompt"]).content
    file = ("speech.wav", spoken)
    heard = client(q).audio.transcriptions.create(model=q["model"], file=file)
    translated = client(q).audio.translations.create(model=q["model"], file=file)
    return {"said": [spoken[:4].decode(), str(len(spoken)), heard.text, translated.text]}


def attempt(ask):
    try:
        ask()
    except openai.APIError as e:
        return failure(e)["error"]
    return None


def files(q):
    c = client(q)
    file = c.files.create(file=("lines.jsonl", q["prompt"].encode()), purpose="batch")
    found = c.files.retrieve(file.id)
    content = c.files.content(file.id).text
    listed = [f.id for f in c.files.list(limit=1)]
    deleted = c.files.delete(file.id).deleted
    gone = attempt(lambda: c.files.retrieve(file.id))
    return {"id": file.id, "said": [found.id, found.filename, content, str(file.id in listed).lower(), str(deleted).lower()], "error": gone}


def batch(q):
    c = client(q)
    file = c.files.create(file=("lines.jsonl", q["prompt"].encode()), purpose="batch")
    ask = {"input_file_id": file.id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    stopped = c.batches.create(**ask)
    stop = attempt(lambda: c.batches.cancel(stopped.id))
    made = found = c.batches.create(**ask)
    while found.status in ("validating", "in_progress", "finalizing"):
        found = c.batches.retrieve(made.id)
    output = c.files.content(found.output_file_id).text
    listed = [b.id for b in c.batches.list(limit=1)]
    late = attempt(lambda: c.batches.cancel(made.id))
    said = [found.input_file_id, found.status, found.output_file_id, output]
    said += [str({made.id, stopped.id} <= set(listed)).lower(), str(stop["status"]) if stop else c.batches.retrieve(stopped.id).status]
    return {"id": made.id, "said": said, "error": late}


serve(embeddings, complete, moderate, picture, sound, files, batch)
