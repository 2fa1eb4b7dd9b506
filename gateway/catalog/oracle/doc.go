// Package oracle has no code, only a test: that the costs of gateway/catalog are those of an independent calculator, npm
// @pydantic/genai-prices, for thousands of generated usages of every model that both price.
//
// The calculator is in JavaScript and runs as a process: testdata/calculate.cjs, in the Node that the tests of the SDKs
// bring. `make sdk` installs both and says where: SLUICE_SDK_NODE and SLUICE_SDK_PRICES are folders with node_modules in
// them. After a change to package.json, `npm install --package-lock-only` in this folder makes a new lock file. models.json is
// made with a newer version of the same prices, which exists for Python only; the test says where they differ.
package oracle
