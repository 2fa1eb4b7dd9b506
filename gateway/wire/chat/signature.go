package chat

import "strings"

// Owner says whose signature it is that stands beside a thought: only they can read it, and what others have signed makes
// them refuse the request. Empty is who the reader takes it for: the dialect's own.
//
// A caller's dialect has a place for the signatures of its own kind alone. Those of others stand there with their owner in
// front, as Tag writes it, which clients send back as they send back any signature:
//
//	sluice_<owner>.<signature>               anywhere
//	sluice_<owner>.redacted.<data>           Responses: a thought that is nothing but a secret
//	sluice_call.<id of the call>.<signature> Messages: the one of a call, which only Gemini signs
type Owner string

// Owners. Without a tag a signature is Anthropic's in Messages and in thinking_blocks, and OpenAI's in Responses.
const (
	Anthropic  Owner = "anthropic"
	OpenAI     Owner = "openai"     // of Responses: encrypted_content
	OpenRouter Owner = "openrouter" // of another model than Claude: one of reasoning_details, in JSON
	Google     Owner = "google"     // of calls, always
	Nobody     Owner = "nobody"     // of a target: it takes none
)

// tag begins what is not the dialect's own.
const tag = "sluice_"

// Tag is what stands in front of a signature where own is what needs no tag. It has nothing that JSON escapes.
func (o Owner) Tag(own Owner) string {
	if o == "" || o == own {
		return ""
	}
	return tag + string(o) + "."
}

// Untag takes the tag off a signature and says whose it is: own if it has no tag, nobody's if there is no signature.
func Untag(signature string, own Owner) (string, Owner) {
	if signature == "" {
		return "", ""
	}
	rest, tagged := strings.CutPrefix(signature, tag)
	owner, rest, whole := strings.Cut(rest, ".")
	if !tagged || !whole {
		return signature, own
	}
	return rest, Owner(owner)
}

// Own makes a signature o's, if the part has one.
func (p *Part) Own(o Owner) {
	if p.Signature != "" {
		p.Owner = o
	}
}

// SignedBy says whether the part has a signature that o can read.
func (p *Part) SignedBy(o Owner) bool {
	return p.Signature != "" && (p.Owner == "" || p.Owner == o)
}
