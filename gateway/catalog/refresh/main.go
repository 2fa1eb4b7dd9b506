// Command refresh writes ../models.json: what is known of models, from public lists of which at least two agree.
//
// It downloads nothing. Bring the lists, each with the version or date to be noted beside it:
//
//		go run ./gateway/catalog/refresh -date 2026-11-23 \
//		  -litellm 1.109.1=model_prices_and_context_window.json \
//		  -genaiprices 0.2.3=genaiprices.json \
//		  -modelsdev 2026-07-02=api.json \
//		  -llmgateway 1.324.0=models.json
//
//	  - litellm: model_prices_and_context_window.json of LiteLLM (MIT), also in its Python package under a name that ends
//	    in _backup.json;
//	  - genaiprices: the providers of the Python package genai-prices (MIT), which is newer than the one for npm and which
//	    the script genaiprices.py prints, where it is installed: python gateway/catalog/refresh/genaiprices.py;
//	  - modelsdev: api.json of models.dev (MIT);
//	  - llmgateway: the export models of npm @llmgateway/models, as JSON.
//
// The first two are what values are taken from. The last two, which are older or may not be copied, only confirm: a value
// that is in neither of the first is never written. A price is written if LiteLLM and genai-prices give it to the digit,
// or one of them gives it, the other is silent, and one of the last two gives it too; where the two differ, most of all that
// give a price must give the same. A vendor's published rule counts as a second source for its batch and flex tiers: half
// of the standard price. Everything else is written as unknown, and the report on standard output says why.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway/catalog"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "refresh:", err)
		os.Exit(1)
	}
}

func run(args []string, report io.Writer) error {
	flags := flag.NewFlagSet("refresh", flag.ContinueOnError)
	out := flags.String("out", "gateway/catalog/models.json", "`file` to write")
	date := flags.String("date", time.Now().UTC().Format(time.DateOnly), "day to note, and on which prices must hold")
	paths := map[string]*string{}
	for _, s := range kinds {
		paths[s.name] = flags.String(s.name, "", "`version=file` of "+s.about)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	today, err := time.Parse(time.DateOnly, *date)
	if err != nil {
		return err
	}
	file := catalog.File{Date: *date}
	m := merge{today: today, report: report}
	for i, s := range kinds {
		version, path, _ := strings.Cut(*paths[s.name], "=")
		if path == "" {
			return fmt.Errorf("-%s version=file is needed", s.name)
		}
		data, err := os.ReadFile(path) //nolint:gosec // the file that was asked for
		if err != nil {
			return err
		}
		if m.sources[i], err = s.read(data, today); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		file.Sources = append(file.Sources, catalog.Source{Name: s.name, Version: version, Licence: s.licence, Use: s.use})
	}
	file.Models = m.models()
	text, err := encode(&file)
	if err != nil {
		return err
	}
	return os.WriteFile(*out, text, 0o644) //nolint:gosec // a source file, for everybody
}

// kinds are the lists, in the order of [merge.sources].
var kinds = [...]struct {
	name, about, licence, use string
	read                      func([]byte, time.Time) (source, error)
}{
	{"litellm", "LiteLLM's list", "MIT", "values", readLiteLLM},
	{"genaiprices", "Pydantic's genai-prices", "MIT", "values", readGenaiPrices},
	{"modelsdev", "models.dev", "MIT", "confirms", readModelsDev},
	{"llmgateway", "LLM Gateway's models", "not stated", "confirms", readLLMGateway},
}

// local are the entries that no list has. The simulator costs nothing, and that is known.
var local = []catalog.Entry{{
	Provider: "sim", Name: "*", Can: []string{"tools", "parallel_tools", "tool_choice", "vision", "structured"},
	Prices:  []catalog.Price{{Tier: "*", Input: "0", CacheRead: "0", CacheWrite: "0", CacheWriteHour: "0", InputAudio: "0", InputImage: "0", Output: "0", OutputAudio: "0", OutputImage: "0", Hour: "0", Image: "0", Characters: "0"}},
	Sources: []string{"sluice"},
}}

// encode writes one model a line, so that a refresh can be reviewed line by line.
func encode(f *catalog.File) ([]byte, error) {
	for i := range f.Models {
		if err := f.Models[i].Validate(); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", f.Models[i].Provider, f.Models[i].Name, err)
		}
	}
	var b bytes.Buffer
	var errs []error
	lines := func(n int, line func(int) any) {
		for i := range n {
			text, err := json.Marshal(line(i))
			errs = append(errs, err)
			b.WriteString("  ")
			b.Write(text)
			b.WriteString(strings.Repeat(",", min(1, n-1-i)) + "\n")
		}
	}
	fmt.Fprintf(&b, "{\"date\": %q,\n\"sources\": [\n", f.Date)
	lines(len(f.Sources), func(i int) any { return f.Sources[i] })
	b.WriteString("],\n\"models\": [\n")
	lines(len(f.Models), func(i int) any { return f.Models[i] })
	b.WriteString("]}\n")
	return b.Bytes(), errors.Join(errs...)
}
