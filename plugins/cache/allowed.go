package cache

import (
	"slices"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/plugins/cache/text"
)

// Why an exchange is kept out of the cache: values of a label, and what explain says.
const (
	whyAsked       = "request"     // it said so
	whyUnreadable  = "unreadable"  // it is passed on as it is
	whyReferences  = "references"  // it names what the provider holds
	whyState       = "state"       // it goes on from what is not in it, or is to be kept by the provider
	whyChoices     = "choices"     // it wants several answers
	whyTemperature = "temperature" // it wants to be surprised
	whyTools       = "tools"       // tools are called in it, or run by the provider
	whyMedia       = "media"       // it wants more than text
	whyFresh       = "fresh"       // its answer is out of date soon
	whyPersonal    = "personal"    // it is about somebody of whom nobody has said who it is
	whyUser        = "user"        // answers are each user's own, and it has none
)

// forbids says why the answer of a request may be neither kept nor given from what is kept; "" if it may.
func (c *Config) forbids(q *chat.Request) string {
	t := q.Sampling.Temperature
	switch {
	case q.Previous != "" || q.Store != nil && *q.Store || goesOn(q.Extra):
		return whyState
	case q.N > 1:
		return whyChoices
	case t != nil && *t > c.MaxTemperature:
		return whyTemperature
	case slices.ContainsFunc(q.Extra, wantsMedia):
		return whyMedia
	case slices.ContainsFunc(q.Extra, looksOutside):
		return whyTools
	}
	for i := range q.Tools {
		if q.Tools[i].Kind == chat.Hosted { // the world that it looks at changes
			return whyTools
		}
	}
	if !c.Tools && slices.ContainsFunc(q.Messages, callsTools) {
		return whyTools
	}
	return ""
}

// goesOn says whether a request leads to something that is not in it.
func goesOn(extra []chat.Member) bool {
	return slices.ContainsFunc(extra, func(m chat.Member) bool {
		switch m.Name {
		case "background", "conversation", "prompt", "context_management", "container", "mcp_servers":
			return true
		}
		return false
	})
}

func wantsMedia(m chat.Member) bool { return m.Name == "audio" || m.Name == "modalities" }

func looksOutside(m chat.Member) bool {
	return m.Name == "web_search_options" || m.Name == "plugins" || m.Name == "search_parameters"
}

func callsTools(m chat.Message) bool {
	return m.Role == chat.RoleTool || slices.ContainsFunc(m.Parts, func(p chat.Part) bool {
		return p.Kind == chat.PartCall || p.Kind == chat.PartOther
	})
}

// mostRead is how many bytes of a question are read for what it is about: of a longer one the end, where the question is.
const mostRead = 4 << 10

// readText reads the last thing that a user said, or its end; nil if there is none.
func readText(q *chat.Request) *text.Text {
	n := len(q.Messages)
	if n == 0 {
		return nil
	}
	said := q.Messages[n-1].Text(chat.PartText)
	if said == "" {
		return nil
	}
	return text.Parse(said[max(len(said)-mostRead, 0):])
}
