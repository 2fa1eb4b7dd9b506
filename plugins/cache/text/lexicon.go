package text

import "strings"

// function has the words that hold a sentence together, with the weight of each; those below zero are dropped.
var function = weighted(`
-1 a an the do does did is are was were be been being am i you we he she they it me us him them my your our his her their
-1 its myself yourself oneself themselves will would shall have has had having that this these those there here so s t d ll
-1 any some very too also even just really much quite rather ever please and but then else such own same
-1 one ones someone somebody anyone anybody people person everyone persons guy guys folks , . ?
.04 of in on at for to from by with as about into onto upon through
.06 can could may might must what which who whom whose
.12 instead within over under between among against during before after above below behind beyond across toward until since while because
.12 up down off out away back near via per than if vs against
.15 how should ought better isit need arethere haveyou is do can
.2 howto difference when where
.3 howmuch howmany who
.4 why howlong howold howoften
.25 or without not no never nor none nobody nothing
`)

// weights of words that say less in a question than in a dictionary.
var weights = weighted(`
.12 way get want like go do come let try put take give keep
.2 make
.35 use
.15 good best great better nice top perfect ideal possible different various many more most lot
.06 mean
.35 run happen occur appear bring set turn show keep seem cause lead move place
.15 exist know tell find think say start begin
.15 idea tip method ideal explanation likely something anything everything thing able allow recommend available individual main total
.3 look see feel call become understand easy easily example
.5 fast quick quickly learn cheap
.65 earn buy
.2 work help time real actually always need real type
.3 name place
.45 user
`)

// names are products, companies, languages and places that WordNet does not have, or has as something else.
var names = set(`
usa uk nyc android angular apache aws azure bash bing bitbucket bitcoin bootstrap c# c++ cassandra chatgpt chrome clojure css dart
debian deno discord django docker dropbox elasticsearch elixir ethereum excel express facebook figma firebase firefox
flask flutter gcp github gitlab gmail golang google gradle graphql hadoop haskell heroku html http https ibm ie instagram
ios ipad iphone java javascript jenkins jira jquery json julia kafka keras kotlin kubernetes laravel linkedin linux
mac macbook macos maven microsoft mongodb mysql netflix next.js nginx node node.js npm nvidia openai opera oracle outlook
pandas paypal perl php pinterest podman postgresql powershell power pytorch python quora rails react reddit redis redux ruby
rust safari salesforce samsung sap scala selenium shopify slack snapchat spark spotify spring sql sqlite steam stripe svelte
swift tailwind telegram tensorflow terraform tesla tiktok twitch twitter typescript uber ubuntu unity unix vim vs vscode vue
walmart webpack whatsapp wikipedia windows wordpress xbox xml yaml yahoo youtube zoom zustand yarn bun
`)

func weighted(s string) map[string]float32 {
	m := make(map[string]float32)
	for line := range strings.Lines(strings.TrimSpace(s)) {
		var w float32
		for i, f := range strings.Fields(line) {
			if i == 0 {
				w = decimal(f)
				continue
			}
			if _, ok := m[f]; !ok {
				m[f] = w
			}
		}
	}
	return m
}

func decimal(s string) float32 {
	if s == "-1" {
		return -1
	}
	var v, unit float32 = 0, 1
	for _, c := range []byte(strings.TrimPrefix(s, ".")) {
		unit /= 10
		v += float32(c-'0') * unit
	}
	return v
}

func set(s string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

func isNegation(s string) bool {
	switch s {
	case "not", "no", "never", "without", "nor", "none", "nobody", "nothing", "nowhere", "neither", "unable", "cannot":
		return true
	}
	return false
}
