package config

import (
	"os"
	"reflect"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const envPrefix = "SLUICE"

// EnvName returns the environment variable that sets the scalar at a path: SLUICE_SERVER_LISTEN for server.listen.
func EnvName(path string) string {
	return envPrefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// setting is a scalar outside lists, which the environment or a flag can set.
type setting struct {
	path  string
	value reflect.Value
	field *field
}

// settings returns the scalars of a struct and of the structs in it.
func (s shapes) settings(v reflect.Value, path string) []setting {
	var all []setting
	fields := s.of(v.Type())
	for i := range fields {
		f, at := &fields[i], join(path, fields[i].name)
		switch inner := v.FieldByIndex(f.index); {
		case at == "version":
		case scalar(inner):
			all = append(all, setting{at, inner, f})
		case inner.Kind() == reflect.Struct:
			all = append(all, s.settings(inner, at)...)
		case inner.Kind() == reflect.Map && inner.Type().Elem().Kind() == reflect.Interface:
			for _, name := range keys(inner) {
				section := inner.MapIndex(reflect.ValueOf(name)).Elem().Elem()
				all = append(all, s.settings(section, join(at, name))...)
			}
		}
	}
	return all
}

// overlay lays the environment and the flags over what the file says. Viper decides which of them a setting has; it
// never sees the file, whose keys it would split at dots and fold to lower case.
func overlay(cfg *Config, src *source, s shapes, flags map[string]*pflag.Flag) {
	all := s.settings(reflect.ValueOf(cfg).Elem(), "")
	v := viper.New()
	for i := range all {
		_ = v.BindEnv(all[i].path, EnvName(all[i].path)) // fails only without a path
		if flag := flags[all[i].path]; flag != nil {
			_ = v.BindPFlag(all[i].path, flag) // fails only without a flag
		}
	}
	variables := make([]string, 0, len(all))
	for _, set := range all {
		variables = append(variables, EnvName(set.path))
		if !v.IsSet(set.path) {
			continue
		}
		text, origin := v.GetString(set.path), "env "+EnvName(set.path)
		if flag := flags[set.path]; flag != nil && flag.Changed {
			origin = "flag --" + flag.Name
		}
		cfg.Origins[set.path] = origin
		before := reflect.ValueOf(set.value.Interface())
		err := setText(set.value, text)
		if err == nil {
			if m := set.field.check(set.value, text); m != nil {
				err = m
			}
		}
		if err != nil {
			set.value.Set(before)
			src.bad[set.path] = true
			src.problems = append(src.problems, Problem{
				File: overriding(origin), Path: set.path, Hint: hintOf(err),
				Message: complaint(set.path, text, err, set.value.Type() == secretType),
			})
			continue
		}
		delete(src.bad, set.path) // the checks are about this value, not the file's
	}
	misspelt(src, variables)
}

// overriding names the environment variable or the flag of an origin for a message. Other origins give "".
func overriding(origin string) string {
	switch kind, name, _ := strings.Cut(origin, " "); kind {
	case "env":
		return "environment variable " + name
	case "flag":
		return "flag " + name
	}
	return ""
}

// misspelt warns of variables that are almost a setting's. Others are left alone: Kubernetes makes SLUICE_PORT and the
// like for a service that is called sluice.
func misspelt(src *source, variables []string) {
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix+"_") || value == "" {
			continue
		}
		if hint := didYouMean(name, variables, ""); hint != "" && !strings.Contains(hint, `"`+name+`"`) {
			src.warnings = append(src.warnings, Problem{
				File: "environment variable " + name, Message: "no setting has this name", Hint: hint,
			})
		}
	}
}
