package cache

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/gateway"
)

// control is what a request wants of the cache.
type control struct {
	bypass     bool          // neither given from the cache nor kept
	refresh    bool          // not given from it, but kept
	exact      bool          // no answers to questions that mean the same
	onlyCached bool          // nobody else is asked
	most       time.Duration // age of an answer; negative: any
}

const (
	cacheControl = "Cache-Control" // RFC 9111, section 5.2.1
	header       = "x-sluice-cache"
	tagsHeader   = "x-sluice-cache-tags"
)

// Bounds of tags.
const (
	mostTags   = 8
	longestTag = 64 // bytes
)

// tagsOf reads the tags that a caller gives an answer, divided by commas, so that all answers with one can be purged. What is
// too much, or too long, is left out.
func tagsOf(h gateway.Header) (tags []string) {
	if h == nil {
		return nil
	}
	for tag := range strings.SplitSeq(string(h.Get(tagsHeader)), ",") {
		if tag = strings.TrimSpace(tag); tag != "" && len(tag) <= longestTag && len(tags) < mostTags {
			tags = append(tags, strings.Clone(tag))
		}
	}
	return tags
}

// controlOf reads what a request says in Cache-Control and x-sluice-cache. What is not known there says nothing.
func controlOf(h gateway.Header) control {
	c := control{most: -1}
	if h == nil {
		return c
	}
	for rest := h.Get(cacheControl); len(rest) > 0; {
		var directive []byte
		directive, rest, _ = bytes.Cut(rest, []byte{','})
		name, value, _ := bytes.Cut(bytes.TrimSpace(directive), []byte{'='})
		switch string(bytes.ToLower(bytes.TrimSpace(name))) {
		case "no-store":
			c.bypass = true
		case "no-cache":
			c.refresh = true
		case "only-if-cached":
			c.onlyCached = true
		case "max-age":
			if s, err := strconv.ParseInt(string(bytes.Trim(value, `" `)), 10, 64); err == nil && s >= 0 {
				c.most = time.Duration(min(s, math.MaxInt64/int64(time.Second))) * time.Second
				c.refresh = c.refresh || s == 0
			}
		}
	}
	switch string(bytes.ToLower(bytes.TrimSpace(h.Get(header)))) {
	case "off", "bypass", "no-store":
		c.bypass = true
	case "refresh", "no-cache":
		c.refresh = true
	case "exact":
		c.exact = true
	}
	return c
}
