package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluice-ai/sluice/gateway/wire/chat"
	"github.com/sluice-ai/sluice/gateway/wire/openai"
	"github.com/sluice-ai/sluice/gateway/wire/peek"
	"github.com/sluice-ai/sluice/gateway/wire/sse"
)

const maxEvent = 16 << 20 // bytes of one event

func newChat() *cobra.Command {
	var base, key, model, system string
	c := &cobra.Command{
		Use:   "chat [PROMPT…]",
		Short: "Ask a model of a running gateway",
		Long: `Ask a model and print the answer as it comes, then a line on standard error about how it went: the time to the
first token, tokens, speed, who answered at which attempt, and the request's id.

The prompt is what the arguments say, or else standard input. On a terminal without a prompt it is a
conversation: Ctrl-C stops an answer, Ctrl-D ends the conversation.`,
		Example: `  export SLUICE_API_KEY=sluice_…
  sluice chat -m demo Tell me something about locks
  git diff | sluice chat -m gpt-4.1-mini --system "Review this change"
  sluice chat`,
	}
	f := c.Flags()
	f.StringVar(&base, "url", localURL(), "`URL` where the API begins; the default follows SLUICE_SERVER_LISTEN")
	keyFlag(c, &key)
	f.StringVarP(&model, "model", "m", "", "`name` of the model; left out: the first that the gateway lists")
	f.StringVar(&system, "system", "", "`instructions` for the model")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := newClient(base, key)
		if err != nil {
			return err
		}
		t := &talk{api: api, model: model, out: c.OutOrStdout(), notes: c.ErrOrStderr()}
		if isTerminal(os.Stdout) {
			t.out = visibleWriter{t.out}
		}
		if system != "" {
			t.messages = []message{{"system", system}}
		}
		if err := t.chooseModel(c.Context()); err != nil {
			return err
		}
		switch {
		case len(args) > 0:
			return t.answer(c.Context(), strings.Join(args, " "))
		case isTerminal(os.Stdin):
			return t.converse(c.Context())
		}
		prompt, err := io.ReadAll(c.InOrStdin())
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(prompt)) == "" {
			return wrongUse("standard input holds no prompt")
		}
		return t.answer(c.Context(), string(prompt))
	}
	return c
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// visibleWriter keeps models from steering the terminal.
type visibleWriter struct{ io.Writer }

func (w visibleWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, visible(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// talk is a conversation with a model.
type talk struct {
	api      *client
	model    string
	messages []message
	out      io.Writer // answers
	notes    io.Writer // everything else
}

func (t *talk) chooseModel(ctx context.Context) error {
	if t.model != "" {
		return nil
	}
	models, err := t.api.models(ctx)
	if err != nil {
		return err
	}
	if len(models) == 0 {
		return wrongUse("the gateway lists no model; name one with --model")
	}
	t.model = models[0].ID
	return nil
}

var errStopped = errors.New("stopped")

// answer asks the prompt and prints the answer and how it went. Both become part of the conversation, the answer also
// if it was cut short. Ctrl-C ends it with errStopped.
func (t *talk) answer(ctx context.Context, prompt string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	messages := append(slices.Clip(t.messages), message{"user", prompt})
	began := time.Now()
	reply, err := t.api.ask(ctx, &question{
		Model: t.model, Messages: messages, Stream: true, StreamOptions: &streamOptions{IncludeUsage: true},
	})
	if err != nil {
		return stoppedBy(ctx, err)
	}
	defer reply.Body.Close()
	a := account{began: began, header: reply.Header}
	err = a.read(reply.Body, t.out)
	a.ended = time.Now()
	if a.text.Len() > 0 {
		messages = append(messages, message{"assistant", a.text.String()})
		t.messages = messages
		_, _ = fmt.Fprintln(t.out)
	}
	err = stoppedBy(ctx, err)
	_, _ = fmt.Fprintln(t.notes, dim(a.line(t.model, err)))
	return err
}

// stoppedBy is errStopped if the context ended, and otherwise err.
func stoppedBy(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errStopped
	}
	return err
}

// account is how an answer went.
type account struct {
	began, first, ended time.Time
	header              http.Header
	text                strings.Builder
	half                []byte // of a character, still escaped
	pieces, tokens      int64  // tokens are 0 if nobody reported them
}

// read prints a stream as it comes.
func (a *account) read(body io.Reader, out io.Writer) error {
	events, decoder := sse.NewReader(body, maxEvent), openai.NewDecoder()
	var pieces []chat.Piece
	for {
		event, err := events.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the answer was cut short")
		}
		if err != nil {
			return err
		}
		if pieces, err = decoder.Decode(pieces[:0], event.Name, event.Data); err != nil {
			return errors.New(visible(err.Error()))
		}
		for i := range pieces {
			switch p := &pieces[i]; p.Kind {
			case chat.PieceText, chat.PieceRefusal:
				if err := a.print(p.Text, out); err != nil {
					return err
				}
			case chat.PieceUsage:
				a.tokens = max(a.tokens, p.Usage.Completion())
			case chat.PieceEnd:
				return nil
			}
		}
	}
}

// print prints a piece of the answer: the inside of a JSON string. One that ends in half a character waits for the rest.
func (a *account) print(inside []byte, out io.Writer) error {
	a.half = append(a.half, inside...)
	if endsHigh(a.half) {
		return nil
	}
	text, ok := peek.String(append(append([]byte{'"'}, a.half...), '"'))
	a.half = a.half[:0]
	if !ok || text == "" {
		return nil
	}
	if a.pieces++; a.first.IsZero() {
		a.first = time.Now()
	}
	a.text.WriteString(text)
	_, err := io.WriteString(out, text)
	return err
}

// endsHigh says whether the last of a text, which is escaped, is the first of a surrogate pair (RFC 8259, section 7):
// \ud800 to \udbff.
func endsHigh(inside []byte) bool {
	at := len(inside) - len(`\ud800`)
	if at < 0 || !bytes.HasPrefix(bytes.ToLower(inside[at:]), []byte(`\ud`)) || !strings.ContainsRune("89abAB", rune(inside[at+3])) {
		return false
	}
	before := inside[:at]
	return (len(before)-len(bytes.TrimRight(before, `\`)))%2 == 0 // or the backslash itself is escaped
}

// line tells how it went.
func (a *account) line(model string, err error) string {
	var parts []string
	if errors.Is(err, errStopped) {
		parts = append(parts, "stopped")
	}
	if !a.first.IsZero() {
		parts = append(parts, fmt.Sprintf("first token %d ms", a.first.Sub(a.began).Milliseconds()))
	}
	tokens, about := a.tokens, ""
	if tokens == 0 {
		tokens, about = a.pieces, "about " // most providers send a token an event
	}
	parts = append(parts, about+count(int(tokens), "token"))
	if elapsed := a.ended.Sub(a.first).Seconds(); tokens > 1 && !a.first.IsZero() && elapsed > 0 {
		parts = append(parts, fmt.Sprintf("%.1f tokens/s", float64(tokens-1)/elapsed)) // the clock starts at the first
	}
	if m := a.header.Get("X-Sluice-Model"); m != "" {
		model = m
	}
	parts = append(parts, model)
	if p := a.header.Get("X-Sluice-Provider"); p != "" {
		attempts, err := strconv.Atoi(a.header.Get("X-Sluice-Attempts"))
		if err != nil {
			attempts = 1 // it is said only if there were more
		}
		parts[len(parts)-1] = p + " " + model
		parts = append(parts, count(attempts, "attempt"))
	}
	if id := a.header.Get("X-Request-Id"); id != "" {
		parts = append(parts, "request "+id)
	}
	return visible(strings.Join(parts, " · "))
}

// dim makes text less prominent, on a terminal that may show colours (https://no-color.org).
func dim(text string) string {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !isTerminal(os.Stderr) {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}
