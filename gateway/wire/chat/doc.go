// Package chat is the neutral form of a conversation: what is left of a request, a reply and a stream when the dialect
// is taken away. Every dialect decodes to it and encodes from it, so n dialects need 2n codecs instead of n².
//
// A message is an ordered list of parts; what the model thinks, says and calls are parts alike, because Anthropic,
// Gemini, Bedrock and Responses interleave them and give their order a meaning. The words (roles, finish reasons) are
// those of OpenAI chat completions, the dialect most callers speak.
//
// Optional numbers and switches are pointers: an explicit zero is not the same as nothing said.
package chat
