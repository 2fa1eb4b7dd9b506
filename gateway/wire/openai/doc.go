// Package openai is the dialect of OpenAI chat completions, as OpenAI and the many who imitate it speak it.
//
// Look, LookWhole, Finished, Clean and Ends read replies that pass through, without decoding them. DecodeRequest,
// AppendReply and NewEncoder are the provider's side of a translation, AppendRequest, DecodeReply and NewDecoder the
// client's.
//
// What comes from callers is read strictly; what comes from providers tolerantly, for they differ in detail. Facts are
// from OpenAI's OpenAPI document, version 2.3.0, and from the providers' own libraries.
package openai
