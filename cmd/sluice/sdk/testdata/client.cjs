// OpenAI's Node client, told by a test what to ask.
//
// Every line on standard input is a question, as JSON; "do" names one of the functions below. It is answered by one line
// on standard output: what the client saw, or the exception that it threw. The base URL and the key come from the
// environment, as OPENAI_BASE_URL and OPENAI_API_KEY.
"use strict";

const readline = require("node:readline");
const OpenAI = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const { z } = require("zod");

const City = z.object({ name: z.string(), country: z.string(), population: z.int() });

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather in a city.",
    strict: true,
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function client(q) {
  const options = { logLevel: "off" };
  if (q.key !== undefined) options.apiKey = q.key;
  if (q.retries !== undefined) options.maxRetries = q.retries;
  return new OpenAI(options);
}

const request = (q) => ({ model: q.model, messages: [{ role: "user", content: q.prompt }] });

const usage = (u) => u && { input: u.prompt_tokens, output: u.completion_tokens, total: u.total_tokens };

const calls = (message) =>
  (message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, arguments: c.function.arguments }));

// whole is what can be said of an answer that is all there.
const whole = (c) => ({
  id: c.id,
  model: c.model,
  request_id: c._request_id,
  text: c.choices[0].message.content,
  finish: c.choices[0].finish_reason,
  usage: usage(c.usage),
});

const chat = async (q) => whole(await client(q).chat.completions.create(request(q)));

// stream iterates over a stream; it leaves after q.leave_after pieces of text.
async function stream(q) {
  const options = q.usage ? { stream_options: { include_usage: true } } : {};
  const { data: chunks, request_id } = await client(q)
    .chat.completions.create({ ...request(q), ...options, stream: true })
    .withResponse();
  const seen = { request_id, ids: [], text: "", pieces: 0, usages: 0 };
  try {
    for await (const c of chunks) {
      if (!seen.ids.includes(c.id)) seen.ids.push(c.id);
      [seen.id, seen.model] = [c.id, c.model];
      seen.usage_last = Boolean(c.usage) && c.choices.length === 0;
      if (c.usage) {
        seen.usages++;
        seen.usage = usage(c.usage);
      }
      for (const choice of c.choices) {
        seen.finish = choice.finish_reason ?? seen.finish;
        if (choice.delta.content) {
          seen.text += choice.delta.content;
          seen.pieces++;
        }
      }
      if (seen.pieces === q.leave_after) {
        seen.left = true;
        break; // aborts the request
      }
    }
  } catch (e) {
    return { ...seen, ...failure(e), request_id };
  }
  return seen;
}

// converse asks, carries out the calls that come, and reports their results.
async function converse(q, ask) {
  const r = { ...request(q), tools: [weather] };
  const [first, fragments] = await ask(r);
  const message = first.choices[0].message;
  r.messages.push(message);
  message.tool_calls.forEach((c, n) => {
    r.messages.push({ role: "tool", tool_call_id: c.id, content: JSON.stringify({ temperature: 20 + n }) });
  });
  const [last] = await ask(r);
  return {
    ...whole(last),
    finishes: [first.choices[0].finish_reason, last.choices[0].finish_reason],
    calls: calls(message),
    fragments,
  };
}

const tools = (q) => converse(q, async (r) => [await client(q).chat.completions.create(r), 0]);

const stream_tools = (q) =>
  converse(q, async (r) => {
    let fragments = 0;
    const events = client(q).chat.completions.stream(r);
    events.on("tool_calls.function.arguments.delta", () => fragments++);
    return [await events.finalChatCompletion(), fragments];
  });

async function parse(q) {
  const c = await client(q).chat.completions.parse({ ...request(q), response_format: zodResponseFormat(City, "city") });
  return { ...whole(c), parsed: c.choices[0].message.parsed };
}

async function stream_parse(q) {
  const events = client(q).chat.completions.stream({ ...request(q), response_format: zodResponseFormat(City, "city") });
  const c = await events.finalChatCompletion();
  return { ...whole(c), parsed: c.choices[0].message.parsed };
}

async function models(q) {
  const ids = [];
  for await (const m of client(q).models.list()) ids.push(m.id);
  return { models: ids };
}

async function model(q) {
  const m = await client(q).models.retrieve(q.model);
  return { id: m.id, owner: m.owned_by, request_id: m._request_id };
}

// abandon asks, and gives up when the next line comes.
async function abandon(q) {
  const controller = new AbortController();
  const ask = async () => {
    const options = { signal: controller.signal };
    const answer = await client(q).chat.completions.create({ ...request(q), stream: Boolean(q.stream) }, options);
    if (q.stream) for await (const _ of answer); // ends without an exception when it is aborted
    return { left: controller.signal.aborted };
  };
  const asked = ask().catch((e) => (e instanceof OpenAI.APIUserAbortError ? { left: true } : failure(e)));
  await lines.next();
  controller.abort();
  return asked;
}

const failure = (e) => ({
  request_id: e.requestID,
  error: { class: e.constructor.name, status: e.status, code: e.code, type: e.type, message: String(e.message) },
});

const known = { chat, stream, tools, stream_tools, parse, stream_parse, models, model, abandon };

(async () => {
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const q = JSON.parse(line.value);
    const answer = await known[q.do](q).catch(failure);
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
})();
