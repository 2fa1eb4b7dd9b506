package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"
)

// converse reads prompts from the terminal until Ctrl-D. What it shows besides answers goes to standard error, so that
// answers alone can be kept: sluice chat > answers.txt.
func (t *talk) converse(ctx context.Context) error {
	// While a line is read the terminal is raw, and Ctrl-C a character; during an answer it is a signal, which ends the
	// answer. One that comes between the two is nobody's: without this it would end the program.
	nobodys := make(chan os.Signal, 1)
	signal.Notify(nobodys, os.Interrupt)
	defer signal.Stop(nobodys)

	_, _ = fmt.Fprintln(t.notes, dim(t.model+" at "+t.api.base+" · Ctrl-C stops an answer, Ctrl-D ends"))
	line := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{interruptible{os.Stdin}, os.Stderr}, "> ")
	for {
		prompt, err := readLine(line)
		if errors.Is(err, io.EOF) {
			_, _ = fmt.Fprintln(t.notes)
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(prompt) == "" {
			continue
		}
		if err := t.answer(ctx, prompt); err != nil && !errors.Is(err, errStopped) {
			_, _ = fmt.Fprintf(t.notes, "sluice: %s\n", err)
		}
	}
}

// readLine reads one line with the terminal in raw mode, where keys can be told apart.
func readLine(t *term.Terminal) (line string, err error) {
	stdin := int(os.Stdin.Fd())
	before, err := term.MakeRaw(stdin)
	if err != nil {
		return "", err
	}
	defer func() {
		if e := term.Restore(stdin, before); err == nil {
			err = e
		}
	}()
	if width, height, err := term.GetSize(stdin); err == nil && width > 0 {
		_ = t.SetSize(width, height)
	}
	return t.ReadLine()
}

// interruptible makes Ctrl-C throw away the line: it would end the input, and whoever stops an answer a moment too late
// would lose the conversation.
type interruptible struct{ io.Reader }

func (r interruptible) Read(p []byte) (int, error) {
	const ctrlC, ctrlU = 3, 21
	n, err := r.Reader.Read(p)
	for i := bytes.IndexByte(p[:n], ctrlC); i >= 0; i = bytes.IndexByte(p[:n], ctrlC) {
		p[i] = ctrlU
	}
	return n, err
}
