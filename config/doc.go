// Package config reads the configuration of Sluice: one gateway file and a folder of tenant files.
//
// Reading is strict. Unknown fields, wrong types, bad values and references to things that do not exist are mistakes;
// all of them, in all files, are collected and reported together as [Problems], each with its file, line and column.
// Names that may contain dots or capitals (gpt-4.1-mini, Qwen/Qwen3-8B) are values in lists, never keys.
//
// Three layers make a scalar outside a list: the file over its default, the environment (SLUICE_SERVER_LISTEN for
// server.listen) over the file, a command line flag over the environment. [Config.Origins] says which one won and
// [Config.Effective] prints the result.
//
// Text in a file may refer to ${env:NAME}, ${env:NAME:-default} and ${file:/path}; $${ stands for a plain ${.
// Secrets are held in a [Secret], which prints as *** everywhere.
//
// A [Loader] reads at start ([Loader.Load]: any mistake is an error), again under live traffic ([Loader.Reload]: a bad
// tenant file keeps its last good version), and tells when there is something to read again ([Loader.Watch]).
//
// A [Config] is never changed after it was returned. Its structs are plain: [reflect.DeepEqual] tells whether a
// provider's, a model's or a plugin's settings changed between two loads, and a tenant whose file did not change keeps
// its pointer. Server.AdminListen is empty for "off", and every simulated provider has its Sim.
package config
