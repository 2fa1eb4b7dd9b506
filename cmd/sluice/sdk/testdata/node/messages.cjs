// Anthropic's client for Node, at the Messages API. The argument names the package: its major versions differ in the
// version of the API that they ask for, and in the header with the key.
"use strict";

const name = process.argv[2];
const Anthropic = require(name);
const { zodOutputFormat } = require(name + "/helpers/zod");
const { betaTool } = require(name + "/helpers/beta/json-schema");
const desk = require("./desk.cjs");
const { serve, consume, options, pieces, City, weather, result, pixel } = desk;

const tool = { name: weather.name, description: weather.description, input_schema: weather.parameters };

const client = (q) => new Anthropic(options(q));

function request(q) {
  const content = [
    { type: "text", text: q.prompt },
    { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } },
  ];
  const r = { model: q.model, max_tokens: 4096, messages: [{ role: "user", content: q.image ? content : q.prompt }] };
  if (q.effort && name === "@anthropic-ai/sdk") {
    r.thinking = { type: "adaptive", display: "summarized" };
    r.output_config = { effort: q.effort };
  } else if (q.effort) {
    r.thinking = { type: "enabled", budget_tokens: 2048 };
  }
  return r;
}

const usage = (u) => {
  const input = (u.input_tokens ?? 0) + (u.cache_read_input_tokens ?? 0) + (u.cache_creation_input_tokens ?? 0);
  return { input, output: u.output_tokens, total: input + u.output_tokens };
};

const text = (m) => m.content.map((b) => b.text ?? "").join("");
const thought = (m) => m.content.map((b) => b.thinking ?? "").join("");

const calls = (m) =>
  m.content
    .filter((b) => b.type === "tool_use")
    .map((c) => ({ id: c.id, name: c.name, arguments: JSON.stringify(c.input) }));

const whole = (m) => ({
  id: m.id,
  model: m.model,
  request_id: m._request_id,
  text: text(m),
  thought: thought(m),
  finish: m.stop_reason,
  usage: usage(m.usage),
});

const chat = async (q) => whole(await client(q).messages.create(request(q)));

async function stream(q) {
  const { data: events, request_id } = await client(q).messages.create({ ...request(q), stream: true }).withResponse();
  const seen = { request_id, ids: [], text: "", thought: "", pieces: 0, usages: 0 };
  try {
    for await (const e of events) {
      switch (e.type) {
        case "message_start":
          seen.ids.push(e.message.id);
          [seen.id, seen.model] = [e.message.id, e.message.model];
          break;
        case "content_block_delta":
          seen.thought += e.delta.thinking ?? "";
          pieces(seen, e.delta.text, q);
          break;
        case "message_delta":
          seen.finish = e.delta.stop_reason;
          seen.usage = usage(e.usage);
          break;
      }
      if (seen.left) break;
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
  r.messages.push({ role: first.role, content: first.content });
  const results = calls(first).map((c, n) => ({ type: "tool_result", tool_use_id: c.id, content: result(n) }));
  r.messages.push({ role: "user", content: results });
  const [last] = await ask(r);
  return {
    ...whole(last),
    thought: thought(first),
    finishes: [first.stop_reason, last.stop_reason],
    calls: calls(first),
    fragments,
  };
}

const tools = (q) => converse(q, async (r) => [await client(q).messages.create(r), 0]);

const stream_tools = (q) =>
  converse(q, async (r) => {
    let fragments = 0;
    const events = client(q).messages.stream(r);
    events.on("inputJson", () => fragments++);
    return [await events.finalMessage(), fragments];
  });

// loop leaves the calls, and the reports of their results, to the client.
async function loop(q) {
  const run = ({ city }) => result(["Paris", "London"].indexOf(city));
  const get_weather = betaTool({ name: weather.name, description: weather.description, inputSchema: weather.parameters, run });
  const answers = [];
  for await (const m of client(q).beta.messages.toolRunner({ ...request(q), tools: [get_weather], stream: q.stream })) {
    answers.push(q.stream ? await m.finalMessage() : m);
  }
  const [first, last] = answers;
  return { ...whole(last), finishes: answers.map((m) => m.stop_reason), calls: calls(first) };
}

const format = { output_config: { format: zodOutputFormat(City) } };

async function parse(q) {
  const m = await client(q).messages.parse({ ...request(q), ...format });
  return { ...whole(m), parsed: m.parsed_output };
}

async function stream_parse(q) {
  const m = await client(q).messages.stream({ ...request(q), ...format }).finalMessage();
  return { ...whole(m), parsed: m.parsed_output };
}

async function models(q) {
  const ids = [];
  for await (const m of client(q).models.list()) ids.push(m.id);
  return { models: ids };
}

async function model(q) {
  const m = await client(q).models.retrieve(q.model);
  return { id: m.id, model: m.display_name, request_id: m._request_id };
}

const count = async (q) => ({ count: (await client(q).messages.countTokens({ ...request(q), max_tokens: undefined })).input_tokens });

const abandon = (q) =>
  desk.abandon(
    async (signal) => {
      const answer = await client(q).messages.create({ ...request(q), stream: q.stream }, { signal });
      if (q.stream) await consume(answer);
    },
    (e) => e instanceof Anthropic.APIUserAbortError,
    failure,
  );

const failure = (e) => ({
  request_id: e.requestID,
  error: { class: e.constructor.name, status: e.status, type: e.type ?? e.error?.error?.type, message: String(e.message) },
});

serve({ chat, stream, tools, stream_tools, parse, stream_parse, models, model, count, abandon, loop }, failure);
