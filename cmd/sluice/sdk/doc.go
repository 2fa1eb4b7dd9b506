// Package sdk has no code, only tests: that the clients people have really work through Sluice, at their newest versions.
//
// A gateway is started in this process with everything that sluice serve has, between a client and a simulated provider
// that counts what reaches it. The clients do as they are told: those for Python and Node as processes, by the scripts in
// testdata, those for Go in files of their own. These are the tables of what they must see:
//
//   - sdk_test.go asks the clients of the chat completions API closely;
//   - dialects_test.go has every client talk to every kind of provider, whatever API either speaks: OpenAI's clients,
//     Anthropic's of both versions of its API, Vercel's ai, and LangChain;
//   - endpoints_test.go is for OpenAI's endpoints that hold no conversations;
//   - aimock_test.go has a provider that others wrote, which also breaks in ways of its own.
//
// `make sdk` installs what requirements.txt and package-lock.json name, and tells the tests where it is:
// SLUICE_SDK_PYTHON is a Python interpreter, SLUICE_SDK_NODE a folder with node_modules in it. After a change to
// package.json, `npm install --package-lock-only` in this folder makes a new lock file. anthropicgo2_test.go is made of
// anthropicgo1_test.go by `go generate`: the two major versions of that client are alike.
package sdk
