package config_test

import (
	"errors"
	"testing"

	"github.com/sluice-ai/sluice/config"
)

// The examples load.
func TestExamples(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-1")
	cfg, err := config.NewLoader(config.Options{Path: "../configs/sluice.yaml"}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 || len(cfg.Providers) != 3 || len(cfg.Models) != 3 || len(cfg.Tenants.List) != 1 {
		t.Errorf("%d providers, %d models, %d tenants, warnings:\n%v", len(cfg.Providers), len(cfg.Models), len(cfg.Tenants.List), cfg.Warnings)
	}
	t.Setenv("OPENAI_API_KEY", "")
	_, err = config.NewLoader(config.Options{Path: "../configs/sluice.yaml"}).Load()
	var p config.Problems
	if !errors.As(err, &p) || len(p) != 1 || p[0].Message != "environment variable OPENAI_API_KEY is empty" {
		t.Errorf("without the key: %v", err)
	}
}
