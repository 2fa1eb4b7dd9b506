package admin

import "net/http"

// Setting is one value of the configuration in effect.
type Setting struct {
	Path   string `json:"path"`   // providers[0].name
	Value  string `json:"value"`  // *** for a secret
	Origin string `json:"origin"` // default, file, or what was laid over that: env SLUICE_SERVER_LISTEN, flag --listen, ${env:NAME}
	Line   int    `json:"line,omitempty"`
}

// Settings are the configuration in effect, but for the tenants.
type Settings struct {
	File     string    `json:"file,omitempty"` // left out: the demonstration
	Settings []Setting `json:"settings"`       // in the order of a file
}

// settings answers GET /admin/v1/config.
func (c *call) settings() error {
	if err := c.asks(); err != nil {
		return err
	}
	if c.s.o.Settings == nil {
		return &apiError{http.StatusNotFound, "not_found", "There is no configuration here."}
	}
	return c.json(http.StatusOK, Answer[Settings]{Data: c.s.o.Settings()})
}
