// Package sdk has no code, only tests: that the clients people have really work through Sluice, at their newest versions.
//
// They are OpenAI's for Python, Node and Go, and github.com/sashabaranov/go-openai. A gateway is started in this process
// with everything that sluice serve has, between a client and a simulated provider that counts what reaches it. One table,
// in sdk_test.go, says what every client must see; the clients do as they are told: testdata/client.py and
// testdata/client.cjs as processes, the two of Go in openaigo_test.go and goopenai_test.go.
//
// `make sdk` installs what requirements.txt and package-lock.json name, and tells the tests where it is:
// SLUICE_SDK_PYTHON is a Python interpreter, SLUICE_SDK_NODE a folder with node_modules in it. After a change to
// package.json, `npm install --package-lock-only` in this folder makes a new lock file.
package sdk
