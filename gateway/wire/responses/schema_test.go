package responses_test

import (
	"testing"

	"github.com/sluice-ai/sluice/gateway/internal/openapi"
)

// fits checks a document against a schema of OpenAI's.
func fits(t *testing.T, schema string, text []byte) {
	t.Helper()
	if err := openapi.Check(schema, text); err != nil {
		t.Fatalf("%s is no %s: %v", text, schema, err)
	}
}
