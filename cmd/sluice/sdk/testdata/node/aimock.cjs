// A provider that others wrote: @copilotkit/aimock, which answers by the name of the model. It prints its address, and ends
// when nobody holds its standard input any more.
"use strict";

const { LLMock } = require("@copilotkit/aimock");
const { pixel } = require("./desk.cjs");

const said = { content: "Hello from a mock, which says this in several pieces." };

const mock = new LLMock({ port: 0, logLevel: "silent" });

mock.addFixture({ match: { model: "hello" }, response: said });
mock.addFixture({ match: { model: "city" }, response: { content: '{"name":"Paris","country":"France","population":2000000}' } });
mock.addFixture({
  match: { model: "thoughtful" },
  response: { ...said, reasoning: "Somebody greets me.", reasoningSignature: "c2lnbmVk" },
});
mock.addFixture({
  match: { model: "weather", hasToolResult: false },
  response: {
    toolCalls: [
      { name: "get_weather", arguments: '{"city":"Paris"}', id: "call_1" },
      { name: "get_weather", arguments: '{"city":"London"}', id: "call_2" },
    ],
  },
});
mock.addFixture({ match: { model: "weather", hasToolResult: true }, response: { content: "It is warm." } });

mock.addFixture({ match: { model: "drop" }, response: said, chaos: { dropRate: 1 } });
mock.addFixture({ match: { model: "malformed" }, response: said, chaos: { malformedRate: 1 } });
mock.addFixture({ match: { model: "disconnect" }, response: said, chaos: { disconnectRate: 1 } });
for (const model of ["limit-chat", "limit-stream"]) mock.addFixture({ match: { model }, response: said, chaos: { rateLimitRate: 1 } });
mock.addFixture({ match: { model: "late" }, response: said, chaos: { latencyMs: 700 } });
mock.addFixture({ match: { model: "slow" }, response: said, chunkSize: 5, streamingProfile: { ttft: 50, tps: 200, jitter: 0.5 } });
mock.addFixture({ match: { model: "hangup" }, response: said, chunkSize: 5, latency: 20, disconnectAfterMs: 100 });
mock.addFixture({ match: { model: "cut" }, response: said, chunkSize: 5, latency: 20, truncateAfterChunks: 7 });

// What is not a conversation.
mock.addFixture({ match: { endpoint: "image" }, response: { images: [{ b64Json: pixel }] } });
mock.addFixture({ match: { endpoint: "speech" }, response: { audio: Buffer.from("RIFF, or so").toString("base64"), format: "wav" } });
mock.addFixture({ match: { endpoint: "transcription" }, response: { transcription: { text: "A wave." } } });
mock.addFixture({ match: { endpoint: "translation" }, response: { transcription: { text: "A wave." } } });
mock.onModerate("kill", { flagged: true, categories: { violence: true }, category_scores: { violence: 0.9 } });

mock.start().then((url) => process.stdout.write(url + "\n"));
process.stdin.on("end", () => mock.stop().then(() => process.exit(0))).resume();
