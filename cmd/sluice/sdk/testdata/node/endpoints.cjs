// OpenAI's client for Node, at the endpoints that hold no conversations.
"use strict";

const OpenAI = require("openai");
const { toFile } = require("openai");
const { serve, options, pixel } = require("./desk.cjs");

// client names the provider where no model does.
const client = (q) => new OpenAI({ ...options(q), defaultHeaders: q.provider ? { "x-sluice-provider": q.provider } : {} });

// embeddings are asked for in the client's own way, which is base64, and as numbers.
async function embeddings(q) {
  const r = { model: q.model, input: [q.prompt] };
  const own = await client(q).embeddings.create(r);
  const numbers = await client(q).embeddings.create({ ...r, encoding_format: "float" });
  return { vectors: [own.data[0].embedding, numbers.data[0].embedding] };
}

async function complete(q) {
  const whole = await client(q).completions.create({ model: q.model, prompt: q.prompt });
  let text = "";
  for await (const c of await client(q).completions.create({ model: q.model, prompt: q.prompt, stream: true })) {
    text += c.choices[0].text;
  }
  return { said: [whole.choices[0].text, text] };
}

async function moderate(q) {
  const [result] = (await client(q).moderations.create({ model: q.model, input: q.prompt })).results;
  return { said: Object.keys(result.categories).filter((c) => result.categories[c]) };
}

async function picture(q) {
  const made = await client(q).images.generate({ model: q.model, prompt: q.prompt });
  const image = await toFile(Buffer.from(pixel, "base64"), "pixel.png", { type: "image/png" });
  const edited = await client(q).images.edit({ model: q.model, prompt: q.prompt, image });
  return { said: [made.data[0].b64_json, edited.data[0].b64_json] };
}

async function sound(q) {
  const spoken = await client(q).audio.speech.create({ model: q.model, voice: "alloy", input: q.prompt });
  const bytes = Buffer.from(await spoken.arrayBuffer());
  const file = () => toFile(bytes, "speech.wav");
  const heard = await client(q).audio.transcriptions.create({ model: q.model, file: await file() });
  const translated = await client(q).audio.translations.create({ model: q.model, file: await file() });
  return { said: [bytes.subarray(0, 4).toString(), String(bytes.length), heard.text, translated.text] };
}

async function files(q) {
  const c = client(q);
  const file = await c.files.create({ file: await toFile(Buffer.from(q.prompt), "lines.jsonl"), purpose: "batch" });
  const found = await c.files.retrieve(file.id);
  const content = await (await c.files.content(file.id)).text();
  const listed = await ids(c.files.list({ limit: 1 }));
  const { deleted } = await c.files.delete(file.id);
  const gone = await c.files.retrieve(file.id).catch(failure);
  return { id: file.id, said: [found.id, found.filename, content, String(listed.includes(file.id)), String(deleted)], error: gone.error };
}

async function batch(q) {
  const c = client(q);
  const file = await c.files.create({ file: await toFile(Buffer.from(q.prompt), "lines.jsonl"), purpose: "batch" });
  const ask = { input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" };
  const stopped = await c.batches.create(ask);
  const stop = await c.batches.cancel(stopped.id).catch(failure);
  const made = await c.batches.create(ask);
  let found = made;
  while (["validating", "in_progress", "finalizing"].includes(found.status)) found = await c.batches.retrieve(made.id);
  const output = await (await c.files.content(found.output_file_id)).text();
  const listed = await ids(c.batches.list({ limit: 1 }));
  const late = await c.batches.cancel(made.id).catch(failure);
  const said = [found.input_file_id, found.status, found.output_file_id, output];
  said.push(String(listed.includes(made.id) && listed.includes(stopped.id)));
  said.push(stop.error ? String(stop.error.status) : (await c.batches.retrieve(stopped.id)).status);
  return { id: made.id, said, error: late.error };
}

// ids are those of all pages of a list.
async function ids(list) {
  const all = [];
  for await (const one of list) all.push(one.id);
  return all;
}

const failure = (e) => ({
  request_id: e.requestID,
  error: { class: e.constructor.name, status: e.status, code: e.code, type: e.type, message: String(e.message) },
});

serve({ embeddings, complete, moderate, picture, sound, files, batch }, failure);
