// Vercel's ai, with its providers for OpenAI and Anthropic. The argument names the API that it is to use.
"use strict";

const { generateText, streamText, embed, tool, isStepCount, Output, APICallError, RetryError, jsonSchema } = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");
const { createAnthropic } = require("@ai-sdk/anthropic");
const desk = require("./desk.cjs");
const { serve, pieces, City, weather, result, pixel } = desk;

globalThis.AI_SDK_LOG_WARNINGS = false;

const api = process.argv[2];

function model(q) {
  if (api === "messages") {
    const options = { baseURL: process.env.ANTHROPIC_BASE_URL + "/v1", apiKey: q.key };
    return createAnthropic(options)(q.model);
  }
  return createOpenAI({ apiKey: q.key })[api](q.model);
}

function request(q) {
  const content = [{ type: "text", text: q.prompt }];
  if (q.image) content.push({ type: "file", data: pixel, mediaType: "image/png" });
  const r = { model: model(q), messages: [{ role: "user", content }], maxRetries: q.retries ?? 2 };
  if (q.effort) {
    r.providerOptions = {
      openai: { reasoningEffort: q.effort, reasoningSummary: "auto", forceReasoning: true, store: q.refer },
      anthropic: { thinking: { type: "enabled", budgetTokens: 2048 } },
    };
  }
  return r;
}

// withTool adds a tool, which the library calls by itself.
function withTool(q) {
  let n = 0;
  const get_weather = tool({
    description: weather.description,
    inputSchema: jsonSchema(weather.parameters),
    execute: () => JSON.parse(result(n++)),
  });
  return { ...request(q), tools: { get_weather }, stopWhen: isStepCount(2) };
}

const usage = (u) => ({ input: u.inputTokens, output: u.outputTokens, total: u.totalTokens });

const whole = ({ response, text, finishReason, reasoningText, usage: used }) => ({
  id: response.id,
  model: response.modelId,
  request_id: response.headers["x-request-id"],
  text,
  thought: reasoningText,
  finish: finishReason,
  usage: usage(used),
});

const conversation = (steps, fragments) => ({
  ...whole(steps.at(-1)),
  thought: steps[0].reasoningText,
  finishes: steps.map((s) => s.finishReason),
  calls: steps[0].toolCalls.map((c) => ({ id: c.toolCallId, name: c.toolName, arguments: JSON.stringify(c.input) })),
  fragments,
});

const chat = async (q) => whole(await generateText(request(q)));

const tools = async (q) => conversation((await generateText(withTool(q))).steps, 0);

async function parse(q) {
  const r = await generateText({ ...request(q), output: Output.object({ schema: City, name: "city" }) });
  return { ...whole(r), parsed: r.output };
}

// consume reads all of a stream. Errors come as a part of it.
async function consume(r, take) {
  for await (const part of r.fullStream) {
    if (part.type === "error") throw part.error;
    if (take?.(part)) return;
  }
}

async function stream(q) {
  const controller = new AbortController();
  const seen = { ids: [], text: "", thought: "", pieces: 0, usages: 0 };
  const r = streamText({ ...request(q), abortSignal: controller.signal, onError: () => {} });
  try {
    await consume(r, (part) => {
      switch (part.type) {
        case "text-delta":
          return pieces(seen, part.text, q);
        case "reasoning-delta":
          seen.thought += part.text;
          break;
        case "finish-step":
          [seen.id, seen.model, seen.request_id] = [part.response.id, part.response.modelId, part.response.headers["x-request-id"]];
          seen.ids.push(seen.id);
          seen.finish = part.finishReason;
          seen.usage = usage(part.usage);
          break;
      }
      return false;
    });
    if (seen.left) controller.abort();
  } catch (e) {
    return { ...seen, ...failure(e) };
  }
  return seen;
}

async function stream_tools(q) {
  let fragments = 0;
  const r = streamText({ ...withTool(q), onError: () => {} });
  await consume(r, (part) => void (fragments += part.type === "tool-input-delta"));
  return conversation(await r.steps, fragments);
}

async function stream_parse(q) {
  const r = streamText({ ...request(q), output: Output.object({ schema: City, name: "city" }), onError: () => {} });
  await consume(r);
  return { ...whole((await r.steps)[0]), parsed: await r.output };
}

async function embeddings(q) {
  const { embedding } = await embed({ model: createOpenAI().embedding(q.model), value: q.prompt });
  return { vectors: [embedding] };
}

const abandon = (q) =>
  desk.abandon(
    async (abortSignal) => {
      if (q.stream) await consume(streamText({ ...request(q), abortSignal, onError: () => {} }));
      else await generateText({ ...request(q), abortSignal });
    },
    (e) => e.name === "AbortError",
    failure,
  );

// failure is what an exception says. That for an answer holds its body; one inside a stream is what the event holds.
function failure(e) {
  const last = RetryError.isInstance(e) ? e.lastError : e;
  const said = APICallError.isInstance(last) ? (last.data?.error ?? {}) : (last.error ?? last);
  return {
    request_id: last.responseHeaders?.["x-request-id"],
    error: { class: last.name ?? "", status: last.statusCode, code: said.code, type: said.type, message: last.message ?? said.message },
  };
}

serve({ chat, stream, tools, stream_tools, parse, stream_parse, embeddings, abandon }, failure);
