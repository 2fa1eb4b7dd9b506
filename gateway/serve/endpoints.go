package serve

import (
	"github.com/sluice-ai/sluice/gateway"
	"github.com/sluice-ai/sluice/gateway/catalog"
	"github.com/sluice-ai/sluice/gateway/wire"
	"github.com/sluice-ai/sluice/gateway/wire/anthropic"
)

// Endpoints is every endpoint there is. A path that is not here does not exist, and a row without a policy serves nobody.
// Where rows differ in nothing but their dialect, the later one is for clients that say by a header that they speak it.
func Endpoints() []gateway.Endpoint {
	const get, post, del = "GET", "POST", "DELETE"
	const callers = gateway.Callers
	const form, nothing, params = gateway.Form, gateway.NoBody, gateway.Params
	const optional, none = gateway.OptionalModel, gateway.NoModel
	openAI, responses, messages, oauth := wire.OpenAI.Name, wire.Responses.Name, wire.Anthropic.Name, wire.OAuth.Name
	table := []gateway.Endpoint{
		{Name: "chat.completions", Method: post, Forward: "/chat/completions", Dialect: openAI, Policy: callers, Decode: wire.OpenAI.DecodeRequest},
		{Name: "completions", Method: post, Forward: "/completions", Dialect: openAI, Policy: callers},
		{Name: "embeddings", Method: post, Forward: "/embeddings", Dialect: openAI, Policy: callers},
		{Name: "moderations", Method: post, Forward: "/moderations", Dialect: openAI, Policy: callers, Model: optional, Default: "omni-moderation-latest"},

		// Who names no model means the one that OpenAI's API description gives as the default.
		{Name: "images.generations", Method: post, Forward: "/images/generations", Dialect: openAI, Policy: callers, Model: optional, Default: "dall-e-2", Counts: catalog.Images},
		{Name: "images.edits", Method: post, Forward: "/images/edits", Dialect: openAI, Policy: callers, Body: form, Model: optional, Default: "gpt-image-1.5", Counts: catalog.Images},
		{Name: "images.variations", Method: post, Forward: "/images/variations", Dialect: openAI, Policy: callers, Body: form, Model: optional, Default: "dall-e-2"},

		{Name: "audio.speech", Method: post, Forward: "/audio/speech", Dialect: openAI, Policy: callers, Bytes: true, Counts: catalog.Characters},
		{Name: "audio.transcriptions", Method: post, Forward: "/audio/transcriptions", Dialect: openAI, Policy: callers, Body: form, Bytes: true},
		{Name: "audio.translations", Method: post, Forward: "/audio/translations", Dialect: openAI, Policy: callers, Body: form, Bytes: true},

		{Name: "files.create", Method: post, Forward: "/files", Dialect: openAI, Policy: callers, Body: form, Model: none},
		{Name: "files.list", Method: get, Forward: "/files", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "files.retrieve", Method: get, Forward: "/files/{id}", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "files.delete", Method: del, Forward: "/files/{id}", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "files.content", Method: get, Forward: "/files/{id}/content", Dialect: openAI, Policy: callers, Body: nothing, Model: none, Bytes: true},

		{Name: "batches.create", Method: post, Forward: "/batches", Dialect: openAI, Policy: callers, Model: none},
		{Name: "batches.list", Method: get, Forward: "/batches", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "batches.retrieve", Method: get, Forward: "/batches/{id}", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "batches.cancel", Method: post, Forward: "/batches/{id}/cancel", Dialect: openAI, Policy: callers, Body: nothing, Model: none},

		{Name: "responses.create", Method: post, Forward: "/responses", Dialect: responses, Policy: callers, Decode: wire.Responses.DecodeRequest},
		{Name: "responses.retrieve", Method: get, Forward: "/responses/{id}", Dialect: responses, Policy: callers, Body: nothing, Model: none},
		{Name: "responses.delete", Method: del, Forward: "/responses/{id}", Dialect: responses, Policy: callers, Body: nothing, Model: none},
		{Name: "responses.cancel", Method: post, Forward: "/responses/{id}/cancel", Dialect: responses, Policy: callers, Body: nothing, Model: none},
		{Name: "responses.input_items", Method: get, Forward: "/responses/{id}/input_items", Dialect: responses, Policy: callers, Body: nothing, Model: none},
		{Name: "responses.input_tokens", Method: post, Forward: "/responses/input_tokens", Dialect: responses, Policy: callers, Decode: wire.Responses.DecodeRequest},
		{Name: "responses.compact", Method: post, Forward: "/responses/compact", Dialect: responses, Policy: callers},

		{Name: "messages", Method: post, Forward: "/messages", Dialect: messages, Policy: callers, Decode: wire.Anthropic.DecodeRequest},
		{Name: "messages.count_tokens", Method: post, Forward: "/messages/count_tokens", Dialect: messages, Policy: callers, Decode: anthropic.DecodeCount},

		{Name: "models.list", Method: get, Path: "/v1/models", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "models.retrieve", Method: get, Path: "/v1/models/{id...}", Dialect: openAI, Policy: callers, Body: nothing, Model: none},
		{Name: "models.list", Method: get, Path: "/v1/models", Dialect: messages, Policy: callers, Body: nothing, Model: none},
		{Name: "models.retrieve", Method: get, Path: "/v1/models/{id...}", Dialect: messages, Policy: callers, Body: nothing, Model: none},

		{Name: "files.create", Method: post, Forward: "/files", Dialect: messages, Policy: callers, Body: form, Model: none},
		{Name: "files.list", Method: get, Forward: "/files", Dialect: messages, Policy: callers, Body: nothing, Model: none},
		{Name: "files.retrieve", Method: get, Forward: "/files/{id}", Dialect: messages, Policy: callers, Body: nothing, Model: none},
		{Name: "files.delete", Method: del, Forward: "/files/{id}", Dialect: messages, Policy: callers, Body: nothing, Model: none},

		// Who asks for a token says who it is in the body. See plugin auth.
		{Name: "oauth.token", Method: post, Path: "/oauth/token", Dialect: oauth, Policy: gateway.Public, Body: params, Model: none},
		{Name: "oauth.revoke", Method: post, Path: "/oauth/revoke", Dialect: oauth, Policy: gateway.Public, Body: params, Model: none},
	}
	for i := range table {
		e := &table[i]
		if e.Path == "" {
			e.Path = "/v1" + e.Forward
		}
		e.Free = e.Model == none && e.Name != "batches.create" || e.Name == "responses.input_tokens" || e.Name == "messages.count_tokens"
	}
	return table
}
