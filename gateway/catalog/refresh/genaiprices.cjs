// Prints what @pydantic/genai-prices knows of the providers below, for the program in this folder.
"use strict";
const { findProvider } = require("@pydantic/genai-prices");

const ids = ["openai", "anthropic", "google", "mistral", "groq", "deepseek", "x-ai", "cohere", "openrouter", "azure",
	"together", "fireworks", "aws", "moonshotai"];
const providers = ids.map((id) => {
	const p = findProvider({ providerId: id });
	return {
		id: p.id,
		fallback_model_providers: p.fallback_model_providers,
		models: p.models.map(({ id, match, prices, context_window }) => ({ id, match, prices, context_window })),
	};
});
console.log(JSON.stringify(providers));
