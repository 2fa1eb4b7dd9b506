// What the clients for Node have in common: a test tells each what to ask.
//
// Every line on standard input is a question, as JSON; "do" names what to do. It is answered by one line on standard
// output: what the client saw, or the exception that it threw. Base URLs and keys come from the environment.
"use strict";

const readline = require("node:readline");
const { z } = require("zod");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// serve answers questions by functions of those names.
exports.serve = async (known, failure) => {
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const q = JSON.parse(line.value);
    const answer = await (async () => known[q.do](q))().catch(failure);
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
};

// abandon begins to ask, and gives up when the next line comes. What ask throws then is what gaveUp knows.
exports.abandon = async (ask, gaveUp, failure) => {
  const controller = new AbortController();
  const asked = ask(controller.signal).then(
    () => ({ left: controller.signal.aborted }), // a stream may just end
    (e) => (gaveUp(e) ? { left: true } : failure(e)),
  );
  await lines.next();
  controller.abort();
  return asked;
};

// consume reads all of a stream.
exports.consume = async (stream) => {
  for await (const _ of stream);
};

// options are those of a client that a question asks for, and that OpenAI's and Anthropic's clients share.
exports.options = (q) => {
  const options = { logLevel: "off" };
  if (q.key !== undefined) options.apiKey = q.key;
  if (q.retries !== undefined) options.maxRetries = q.retries;
  return options;
};

exports.City = z.object({ name: z.string(), country: z.string(), population: z.int() });

// A tool, and the result of its n-th call.
exports.weather = {
  name: "get_weather",
  description: "The weather in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};
exports.result = (n) => JSON.stringify({ temperature: 20 + n });

// An image of one pixel.
exports.pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

// pieces counts the pieces of a stream's text, and says when enough have come.
exports.pieces = (seen, text, q) => {
  if (text) {
    seen.text += text;
    seen.pieces++;
  }
  seen.left = seen.pieces === q.leave_after;
  return seen.left;
};
