package responses

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/shape"
)

// item is one of the items that a model makes, of a reply, of a stream, or of an assistant's turn in a request.
type item struct {
	kind   itemKind
	id     string // as it is written; "" if it has none
	status string // "" if it is not written
	parts  []part // of a message
	text   text   // what was thought; a call's arguments
	secret text   // a thought's encrypted content; a call's thought signature
	call   chat.ToolCall
	hidden bool   // of a thought: only its provider can read it
	raw    []byte // a hosted item, or the base64 of an image

	index int  // of a stream's: among its items
	open  bool // of a stream's: more may come
}

type itemKind uint8

const (
	messageItem itemKind = iota
	reasoningItem
	callItem
	imageItem
	hostedItem
)

// prefix begins the ids of items of a kind, as OpenAI has them, which checks it.
func (it *item) prefix() string {
	switch it.kind {
	case messageItem:
		return "msg_"
	case reasoningItem:
		return "rs_"
	case imageItem:
		return "ig_"
	}
	if it.call.Kind == chat.Custom {
		return "ctc_"
	}
	return "fc_"
}

// part is a part of a message.
type part struct {
	refusal  bool
	text     text
	notes    []byte // annotations, without brackets
	logprobs []byte // likewise
	sources  int    // how many notes
	from     int    // of a stream's: characters of text before it
}

// text is a text of a reply, or that of a stream, which is escaped already.
type text struct {
	plain  string
	inside []byte
}

func (t text) empty() bool { return t.plain == "" && len(t.inside) == 0 }

// append writes a JSON string.
func (t text) append(dst []byte) []byte {
	if t.inside == nil {
		return shape.AppendString(dst, t.plain)
	}
	return append(append(append(dst, '"'), t.inside...), '"')
}

// itemsOf takes a message of an assistant apart. Texts that follow each other are one item, if no id says otherwise. What
// no item can say is named by dropped. Hosted items of unknown types are another dialect's, unless own says that there can
// be no other.
func itemsOf(parts []chat.Part, own bool, dropped func(kind string)) []item {
	var list []item
	say := func(p *chat.Part) {
		n := len(list)
		if n == 0 || list[n-1].kind != messageItem || list[n-1].id != p.ID {
			list = append(list, item{kind: messageItem, id: p.ID})
			n++
		}
		list[n-1].parts = append(list[n-1].parts, partOf(p))
	}
	for i := range parts {
		p := &parts[i]
		switch p.Kind {
		case chat.PartText, chat.PartRefusal:
			say(p)
		case chat.PartReasoning:
			list = append(list, item{kind: reasoningItem, id: p.ID, text: text{plain: p.Text}, secret: text{plain: p.Owner.Tag(chat.OpenAI) + p.Signature}})
		case chat.PartRedacted:
			list = append(list, item{kind: reasoningItem, id: p.ID, hidden: true, secret: text{plain: sealed(p.Owner) + p.Signature}})
		case chat.PartCall:
			list = append(list, item{
				kind: callItem, id: p.ID, call: *p.Call,
				text: text{plain: p.Call.Arguments}, secret: text{plain: p.Signature},
			})
		case chat.PartImage:
			if p.Media.Data == "" {
				dropped("image")
				continue
			}
			list = append(list, item{kind: imageItem, id: p.ID, text: text{plain: p.Media.Data}})
		case chat.PartOther:
			switch kind := kindOf(p.Raw); {
			case own || isHostedItem(kind):
				list = append(list, item{kind: hostedItem, raw: p.Raw})
			case p.Text != "":
				say(p)
			default:
				dropped(kind)
			}
		case chat.PartAudio:
			if p.Text == "" {
				dropped("audio")
				continue
			}
			say(p) // what is to be heard
		case chat.PartFile:
			dropped("file")
		}
	}
	return list
}

func partOf(p *chat.Part) part {
	t := part{refusal: p.Kind == chat.PartRefusal, text: text{plain: p.Text}, logprobs: inner(p.Logprobs)}
	length := utf8.RuneCountInString(p.Text)
	for i := range p.Citations {
		t.cite(p.Citations[i], length)
	}
	return t
}

// cite adds a source, and is its annotation. One that is of no known place is of all the text, which has that many characters.
func (t *part) cite(c chat.Citation, length int) []byte {
	if c.Start == 0 && c.End == 0 {
		c.End = length
	}
	if t.sources > 0 {
		t.notes = append(t.notes, ',')
	}
	from := len(t.notes)
	t.notes = strconv.AppendInt(append(t.notes, `{"type":"url_citation","start_index":`...), int64(c.Start), 10)
	t.notes = strconv.AppendInt(append(t.notes, `,"end_index":`...), int64(c.End), 10)
	t.notes = shape.AppendString(append(t.notes, `,"url":`...), c.URL)
	t.notes = append(shape.AppendString(append(t.notes, `,"title":`...), c.Title), '}')
	t.sources++
	return t.notes[from:]
}

// hostedItems are the types of items that only OpenAI understands.
var hostedItems = [...]string{
	"additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call", "compaction",
	"compaction_trigger", "computer_call", "computer_call_output", "file_search_call", "image_generation_call",
	"local_shell_call", "local_shell_call_output", "mcp_approval_request", "mcp_approval_response", "mcp_call",
	"mcp_list_tools", "program", "program_output", "shell_call", "shell_call_output", "tool_search_call",
	"tool_search_output", "web_search_call",
}

func isHostedItem(kind string) bool { return slices.Contains(hostedItems[:], kind) }

// append writes the item.
func (it *item) append(dst []byte) []byte {
	switch it.kind {
	case messageItem:
		dst = it.head(append(dst, '{'), "message")
		dst = append(dst, `,"role":"assistant","content":[`...)
		for i := range it.parts {
			dst = it.parts[i].append(comma(dst, i))
		}
		return append(dst, "]}"...)
	case reasoningItem:
		return it.appendThought(dst)
	case imageItem:
		dst = append(it.head(append(dst, '{'), "image_generation_call"), `,"result":`...)
		if it.text.empty() { // not yet
			return append(dst, "null}"...)
		}
		return append(it.text.append(dst), '}')
	case callItem:
		return it.appendCall(dst)
	default:
		return append(dst, it.raw...)
	}
}

// head writes the members that all items have.
func (it *item) head(dst []byte, kind string) []byte {
	if it.id != "" {
		dst = append(shape.AppendString(append(dst, `"id":`...), it.id), ',')
	}
	dst = append(append(append(dst, `"type":"`...), kind...), '"')
	if it.status != "" {
		dst = append(append(append(dst, `,"status":"`...), it.status...), '"')
	}
	return dst
}

func (it *item) appendThought(dst []byte) []byte {
	dst = append(it.head(append(dst, '{'), "reasoning"), `,"summary":[`...)
	if !it.text.empty() {
		dst = append(appendSummary(dst, it.text), ']')
	} else {
		dst = append(dst, ']')
	}
	if !it.secret.empty() {
		dst = it.secret.append(append(dst, `,"encrypted_content":`...))
	}
	return append(dst, '}')
}

func appendSummary(dst []byte, t text) []byte {
	return append(t.append(append(dst, `{"type":"summary_text","text":`...)), '}')
}

func (it *item) appendCall(dst []byte) []byte {
	kind, member := "function_call", `,"arguments":`
	if it.call.Kind == chat.Custom {
		kind, member = "custom_tool_call", `,"input":`
	}
	dst = it.head(append(dst, '{'), kind)
	dst = shape.AppendString(append(dst, `,"call_id":`...), it.call.ID)
	dst = shape.AppendString(append(dst, `,"name":`...), it.call.Name)
	dst = it.text.append(append(dst, member...))
	if !it.secret.empty() {
		dst = it.secret.append(append(dst, `,"extra_content":{"google":{"thought_signature":`...))
		dst = append(dst, "}}"...)
	}
	return append(dst, '}')
}

// append writes a part of a message.
func (t *part) append(dst []byte) []byte {
	if t.refusal {
		return append(t.text.append(append(dst, `{"type":"refusal","refusal":`...)), '}')
	}
	dst = append(append(dst, `{"type":"output_text","annotations":[`...), t.notes...)
	dst = append(append(dst, `],"logprobs":[`...), t.logprobs...)
	return append(t.text.append(append(dst, `],"text":`...)), '}')
}
