// OpenAI's client for Node, at the Responses API.
"use strict";

const OpenAI = require("openai");
const { zodTextFormat } = require("openai/helpers/zod");
const desk = require("./desk.cjs");
const { serve, consume, options, pieces, City, weather, result, pixel } = desk;

const tool = { type: "function", ...weather, strict: true };

const client = (q) => new OpenAI(options(q));

function request(q) {
  const content = [
    { type: "input_text", text: q.prompt },
    { type: "input_image", detail: "auto", image_url: "data:image/png;base64," + pixel },
  ];
  const r = { model: q.model, input: [{ role: "user", content: q.image ? content : q.prompt }] };
  if (q.effort) {
    r.reasoning = { effort: q.effort, summary: "auto" };
    r.include = ["reasoning.encrypted_content"];
  }
  return r;
}

const usage = (u) => u && { input: u.input_tokens, output: u.output_tokens, total: u.total_tokens };

const calls = (response) =>
  response.output
    .filter((i) => i.type === "function_call")
    .map((c) => ({ id: c.call_id, name: c.name, arguments: c.arguments }));

const thought = (response) =>
  response.output
    .filter((i) => i.type === "reasoning")
    .flatMap((i) => i.summary)
    .map((s) => s.text)
    .join("");

const whole = (r) => ({
  id: r.id,
  model: r.model,
  request_id: r._request_id,
  text: r.output_text,
  thought: thought(r),
  finish: r.status,
  usage: usage(r.usage),
});

const chat = async (q) => whole(await client(q).responses.create(request(q)));

async function stream(q) {
  const { data: events, request_id } = await client(q).responses.create({ ...request(q), stream: true }).withResponse();
  const seen = { request_id, ids: [], text: "", thought: "", pieces: 0, usages: 0 };
  try {
    let number = 0;
    for await (const e of events) {
      seen.unordered ||= e.sequence_number !== number++;
      if (e.response) {
        if (!seen.ids.includes(e.response.id)) seen.ids.push(e.response.id);
        [seen.id, seen.model] = [e.response.id, e.response.model];
      }
      switch (e.type) {
        case "response.output_text.delta":
          pieces(seen, e.delta, q);
          break;
        case "response.reasoning_summary_text.delta":
          seen.thought += e.delta;
          break;
        case "response.completed":
          seen.finish = e.response.status;
          seen.usage = usage(e.response.usage);
          break;
        case "response.failed":
          seen.error = { class: e.type, code: e.response.error.code, type: e.type, message: e.response.error.message };
          return seen;
      }
      if (seen.left) break;
    }
  } catch (e) {
    return { ...seen, ...failure(e), request_id };
  }
  return seen;
}

const given = (response) =>
  calls(response).map((c, n) => ({ type: "function_call_output", call_id: c.id, output: result(n) }));

const both = (first, last, fragments) => ({
  ...whole(last),
  thought: thought(first),
  finishes: [first.status, last.status],
  calls: calls(first),
  fragments,
});

// tools sends the whole conversation with the results.
async function tools(q) {
  const r = { ...request(q), tools: [tool], store: false };
  const first = await client(q).responses.create(r);
  r.input.push(...first.output, ...given(first));
  return both(first, await client(q).responses.create(r), 0);
}

// stream_tools leaves the conversation to the other side.
async function stream_tools(q) {
  let fragments = 0;
  const ask = async (r) => {
    const events = client(q).responses.stream({ ...request(q), tools: [tool], ...r });
    events.on("response.function_call_arguments.delta", () => fragments++);
    return events.finalResponse();
  };
  const first = await ask({});
  return both(first, await ask({ input: given(first), previous_response_id: first.id }), fragments);
}

const format = { text: { format: zodTextFormat(City, "city") } };

async function parse(q) {
  const r = await client(q).responses.parse({ ...request(q), ...format });
  return { ...whole(r), parsed: r.output_parsed };
}

async function stream_parse(q) {
  const r = await client(q).responses.stream({ ...request(q), ...format }).finalResponse();
  return { ...whole(r), parsed: r.output_parsed };
}

// stored asks for an answer again, for what it answered, cancels it too late, and deletes it.
async function stored(q) {
  const c = client(q);
  const { id, output_text } = await c.responses.create(request(q));
  const again = await c.responses.retrieve(id);
  const items = [];
  for await (const i of c.responses.inputItems.list(id)) items.push(i);
  const late = await c.responses.cancel(id).catch(failure);
  await c.responses.delete(id);
  const gone = await c.responses.retrieve(id).catch(failure);
  return {
    ...whole(again),
    finishes: [output_text, items[0].content[0].text],
    said: [late.error?.code ?? ""],
    error: gone.error,
  };
}

const abandon = (q) =>
  desk.abandon(
    async (signal) => {
      const answer = await client(q).responses.create({ ...request(q), stream: q.stream }, { signal });
      if (q.stream) await consume(answer);
    },
    (e) => e instanceof OpenAI.APIUserAbortError,
    failure,
  );

const failure = (e) => ({
  request_id: e.requestID,
  error: { class: e.constructor.name, status: e.status, code: e.code, type: e.type, message: String(e.message) },
});

serve({ chat, stream, tools, stream_tools, parse, stream_parse, stored, abandon }, failure);
