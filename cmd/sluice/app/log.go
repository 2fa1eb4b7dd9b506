package app

import (
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/sluice-ai/sluice/config"
	"github.com/sluice-ai/sluice/plugins/telemetry"
)

// NewLog makes the log on standard error. Lines are buffered for up to half a second, because a system call for each
// would be a large part of an exchange's cost; errors are written at once, and flush writes the rest.
func NewLog(c config.Log) (log *zap.Logger, flush func(), err error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("telemetry.log.level: %w", err)
	}
	ec := zap.NewProductionEncoderConfig()
	ec.TimeKey, ec.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
	encoder := telemetry.Encoder(zapcore.NewJSONEncoder(ec))
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	if c.Format == "console" || c.Format == "auto" && terminal {
		ec.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		if terminal && os.Getenv("NO_COLOR") == "" {
			ec.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		encoder = zapcore.NewConsoleEncoder(ec)
	}
	// A bare io.Writer: the buffer would call Sync of a file every time, which is an fsync under its lock.
	buffer := &zapcore.BufferedWriteSyncer{
		WS: zapcore.AddSync(struct{ io.Writer }{os.Stderr}), Size: 256 << 10, FlushInterval: 500 * time.Millisecond,
	}
	core := &flushErrors{zapcore.NewCore(encoder, buffer, level)}
	return zap.New(core), func() { _ = buffer.Stop() }, nil
}

// flushErrors writes errors at once: what came before them must not be lost with the process.
type flushErrors struct{ zapcore.Core }

// With implements zapcore.Core.
func (f *flushErrors) With(fields []zapcore.Field) zapcore.Core {
	return &flushErrors{f.Core.With(fields)}
}

// Check implements zapcore.Core.
func (f *flushErrors) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if f.Enabled(e.Level) {
		return ce.AddCore(e, f)
	}
	return ce
}

// Write implements zapcore.Core.
func (f *flushErrors) Write(e zapcore.Entry, fields []zapcore.Field) error {
	err := f.Core.Write(e, fields)
	if e.Level >= zapcore.ErrorLevel {
		return f.Sync()
	}
	return err
}
