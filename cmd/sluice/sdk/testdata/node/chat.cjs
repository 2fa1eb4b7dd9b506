// OpenAI's client for Node, at the chat completions API and what is beside it.
"use strict";

const OpenAI = require("openai");
const { zodResponseFormat } = require("openai/helpers/zod");
const desk = require("./desk.cjs");
const { serve, consume, options, pieces, City, weather, result, pixel } = desk;

const tool = { type: "function", function: { ...weather, strict: true } };

const client = (q) => new OpenAI(options(q));

function request(q) {
  const content = [
    { type: "text", text: q.prompt },
    { type: "image_url", image_url: { url: "data:image/png;base64," + pixel } },
  ];
  const r = { model: q.model, messages: [{ role: "user", content: q.image ? content : q.prompt }] };
  if (q.effort) r.reasoning_effort = q.effort;
  return r;
}

const usage = (u) => u && { input: u.prompt_tokens, output: u.completion_tokens, total: u.total_tokens };

const calls = (message) =>
  (message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, arguments: c.function.arguments }));

// whole is what can be said of an answer that is all there.
const whole = (c) => ({
  id: c.id,
  model: c.model,
  request_id: c._request_id,
  text: c.choices[0].message.content,
  thought: c.choices[0].message.reasoning_content,
  finish: c.choices[0].finish_reason,
  usage: usage(c.usage),
});

const chat = async (q) => whole(await client(q).chat.completions.create(request(q)));

// stream iterates over a stream; it leaves after q.leave_after pieces of text.
async function stream(q) {
  const asked = q.usage ? { stream_options: { include_usage: true } } : {};
  const { data: chunks, request_id } = await client(q)
    .chat.completions.create({ ...request(q), ...asked, stream: true })
    .withResponse();
  const seen = { request_id, ids: [], text: "", thought: "", pieces: 0, usages: 0 };
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
        seen.thought += choice.delta.reasoning_content ?? "";
        pieces(seen, choice.delta.content, q);
      }
      if (seen.left) break; // aborts the request
    }
  } catch (e) {
    return { ...seen, ...failure(e), request_id };
  }
  return seen;
}

// converse asks, carries out the calls that come, and reports their results.
async function converse(q, ask) {
  const r = { ...request(q), tools: [tool] };
  const [first, fragments] = await ask(r);
  const message = first.choices[0].message;
  r.messages.push(message);
  message.tool_calls.forEach((c, n) => {
    r.messages.push({ role: "tool", tool_call_id: c.id, content: result(n) });
  });
  const [last] = await ask(r);
  return {
    ...whole(last),
    thought: whole(first).thought,
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

// loop leaves the calls, and the reports of their results, to the client.
async function loop(q) {
  const get_weather = {
    ...weather,
    parse: JSON.parse,
    function: ({ city }) => result(["Paris", "London"].indexOf(city)),
  };
  const tools = [{ type: "function", function: get_weather }];
  const runner = client(q).chat.completions.runTools({ ...request(q), tools, stream: q.stream });
  await runner.done();
  const [first, last] = runner.allChatCompletions();
  return { ...whole(last), finishes: [first, last].map((c) => c.choices[0].finish_reason), calls: calls(first.choices[0].message) };
}

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

const abandon = (q) =>
  desk.abandon(
    async (signal) => {
      const answer = await client(q).chat.completions.create({ ...request(q), stream: q.stream }, { signal });
      if (q.stream) await consume(answer);
    },
    (e) => e instanceof OpenAI.APIUserAbortError,
    failure,
  );

const failure = (e) => ({
  request_id: e.requestID,
  error: { class: e.constructor.name, status: e.status, code: e.code, type: e.type, message: String(e.message) },
});

serve({ chat, stream, tools, stream_tools, parse, stream_parse, models, model, abandon, loop }, failure);
