// Reads questions, one JSON a line, and answers each with one line: what @pydantic/genai-prices says of the model, its
// prices and those of the usage. null if it does not know the model.
"use strict";
const readline = require("node:readline");
const { calcPrice } = require("@pydantic/genai-prices");

readline.createInterface({ input: process.stdin }).on("line", (line) => {
	const { provider, model, at, usage } = JSON.parse(line);
	let answer;
	try {
		const p = calcPrice(usage, model, { providerId: provider, timestamp: new Date(at) });
		answer = p && { usd: p.total_price, prices: Object.keys(p.model_price) };
	} catch (e) {
		answer = { error: String(e) };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
});
