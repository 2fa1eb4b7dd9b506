// LangChain's ChatOpenAI and OpenAIEmbeddings. The argument names the API that it is to use.
"use strict";

const { ChatOpenAI, OpenAIEmbeddings } = require("@langchain/openai");
const { HumanMessage, ToolMessage } = require("@langchain/core/messages");
const desk = require("./desk.cjs");
const { serve, consume, pieces, City, weather, result, pixel } = desk;

const useResponsesApi = process.argv[2] === "responses";

const tool = { type: "function", function: { ...weather, strict: true } };

function llm(q) {
  const options = { model: q.model, useResponsesApi, maxRetries: q.retries ?? 2 };
  if (q.key !== undefined) options.apiKey = q.key;
  // It has an option for reasoning too, but leaves it out for models whose names it does not know.
  if (q.effort && useResponsesApi) options.modelKwargs = { reasoning: { effort: q.effort, summary: "auto" } };
  else if (q.effort) options.modelKwargs = { reasoning_effort: q.effort };
  return new ChatOpenAI(options);
}

function asked(q) {
  const content = [{ type: "text", text: q.prompt }];
  if (q.image) content.push({ type: "image_url", image_url: { url: "data:image/png;base64," + pixel } });
  return [new HumanMessage({ content })];
}

const usage = (u) => u && { input: u.input_tokens, output: u.output_tokens, total: u.total_tokens };

const finish = (m) => m.response_metadata.finish_reason ?? m.response_metadata.status;

const thought = (m) =>
  m.additional_kwargs.reasoning_content ?? m.additional_kwargs.reasoning?.summary?.map((s) => s.text).join("") ?? "";

const whole = (m) => ({
  id: m.id,
  model: m.response_metadata.model_name ?? m.response_metadata.model,
  text: m.text,
  thought: thought(m),
  finish: finish(m),
  usage: usage(m.usage_metadata),
});

const chat = async (q) => whole(await llm(q).invoke(asked(q)));

async function stream(q) {
  const seen = { ids: [], text: "", pieces: 0, usages: 0 };
  let all;
  try {
    for await (const m of await llm(q).stream(asked(q))) {
      all = all ? all.concat(m) : m;
      if (pieces(seen, m.text, q)) return seen;
    }
  } catch (e) {
    return { ...seen, ...failure(e) };
  }
  return { ...whole(all), ids: [all.id], pieces: seen.pieces };
}

// gather reads all of a stream.
async function gather(chunks) {
  let all, fragments = 0;
  for await (const m of await chunks) {
    all = all ? all.concat(m) : m;
    fragments += (m.tool_call_chunks ?? []).filter((c) => c.args).length;
  }
  return [all, fragments];
}

async function converse(q, ask) {
  const bound = llm(q).bindTools([tool]);
  const messages = asked(q);
  const [first, fragments] = await ask(bound, messages);
  messages.push(first);
  first.tool_calls.forEach((c, n) => messages.push(new ToolMessage({ content: result(n), tool_call_id: c.id })));
  const [last] = await ask(bound, messages);
  return {
    ...whole(last),
    thought: thought(first),
    finishes: [finish(first), finish(last)],
    calls: first.tool_calls.map((c) => ({ id: c.id, name: c.name, arguments: JSON.stringify(c.args) })),
    fragments,
  };
}

const tools = (q) => converse(q, async (bound, messages) => [await bound.invoke(messages), 0]);

const stream_tools = (q) => converse(q, (bound, messages) => gather(bound.stream(messages)));

async function parse(q) {
  const structured = llm(q).withStructuredOutput(City, { name: "city", method: "jsonSchema", includeRaw: true });
  const { raw, parsed } = await structured.invoke(asked(q));
  return { ...whole(raw), parsed };
}

async function stream_parse(q) {
  const structured = llm(q).withStructuredOutput(City, { name: "city", method: "jsonSchema", includeRaw: true });
  let raw, parsed;
  for await (const part of await structured.stream(asked(q))) {
    if (part.raw) raw = raw ? raw.concat(part.raw) : part.raw;
    parsed = part.parsed ?? parsed;
  }
  return { ...whole(raw), parsed };
}

async function embeddings(q) {
  return { vectors: await new OpenAIEmbeddings({ model: q.model }).embedDocuments([q.prompt]) };
}

const abandon = (q) =>
  desk.abandon(
    async (signal) => {
      if (q.stream) await consume(await llm(q).stream(asked(q), { signal }));
      else await llm(q).invoke(asked(q), { signal });
    },
    (e) => e.name === "AbortError" || e.constructor.name === "ModelAbortError",
    failure,
  );

const failure = (e) => ({
  request_id: e.requestID,
  error: { class: e.constructor.name, status: e.status, code: e.code, type: e.type, message: String(e.message) },
});

serve({ chat, stream, tools, stream_tools, parse, stream_parse, embeddings, abandon }, failure);
