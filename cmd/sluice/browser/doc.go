// Package browser has no code, only tests: that the console works in a real browser, against the real binary with real data.
//
// sluice is built and started as a process, with a store that has a hundred thousand rows and a provider that says what it is
// told to. The scripts in testdata drive Chromium through every screen of the console: what people do there, what axe-core
// says of it, what comes of hostile answers of a model, and that nothing is fetched from elsewhere.
//
// `make browser` installs what package-lock.json names and tells the tests where it is: SLUICE_BROWSER_NODE is a folder with
// node_modules in it, SLUICE_BROWSER the program that is Chromium. After a change to package.json,
// `npm install --package-lock-only` in this folder makes a new lock file. `make pictures` keeps the pictures that the tests
// take for the README.
package browser
