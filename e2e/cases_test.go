package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
)

// value is what stands at a place in a body, or what should stand there.
type value struct {
	pointer, what string
	value         any
}

// left out stands for a property that is not there.
type leftOut struct{}

// mistakes are values that break a schema, each in one way. Those inside of example's objects and arrays come with them.
func mistakes(at string, s *openapi3.Schema, example any, body bool) []value {
	var all []value
	add := func(what string, v any) { all = append(all, value{at, what, v}) }
	if body && at != "" && !s.Nullable {
		add("null", nil)
	}
	switch {
	case s.Type.Is("string"):
		if body {
			add("a number", 42)
			add("an object", map[string]any{})
		}
		textMistakes(s, add)
	case s.Type.Is("integer"), s.Type.Is("number"):
		add("a text", "many")
		add("a huge number", json.Number("1e400"))
		add("a huge number in words", "1e400")
		if s.Type.Is("integer") {
			add("a fraction", json.Number("1.5"))
			add("a fraction", "1.5")
			add("more than 64 bits", json.Number("99999999999999999999999999"))
			add("more than 64 bits", "99999999999999999999999999")
		}
		if s.Min != nil {
			add("too little", json.Number(strconv.FormatFloat(*s.Min-1, 'f', -1, 64)))
			add("too little", strconv.FormatFloat(*s.Min-1, 'f', -1, 64))
		}
		if s.Max != nil {
			add("too much", json.Number(strconv.FormatFloat(*s.Max+1, 'f', -1, 64)))
			add("too much", strconv.FormatFloat(*s.Max+1, 'f', -1, 64))
		}
	case s.Type.Is("array"):
		add("a text", "many")
		add("an object", map[string]any{})
		items, _ := example.([]any)
		if s.MaxItems != nil && len(items) > 0 {
			add("too many", slices.Repeat(items[:1], int(*s.MaxItems)+1))
		}
		if s.MinItems > 0 {
			add("none", []any{})
		}
		if len(items) > 0 {
			all = append(all, mistakes(at+"/0", s.Items.Value, items[0], body)...)
		}
	case s.Type.Is("object"):
		if at != "" {
			add("a text", "many")
			add("an array", []any{})
		}
		all = append(all, objectMistakes(at, s, example)...)
	}
	return all
}

func textMistakes(s *openapi3.Schema, add func(string, any)) {
	if s.MaxLength != nil && *s.MaxLength < 100_000 {
		add("too long", strings.Repeat("a", int(*s.MaxLength)+1))
	}
	if s.MinLength > 0 {
		add("empty", "")
	}
	if s.Pattern != "" {
		add("of the wrong form", "\n \t")
	}
	if len(s.Enum) > 0 {
		add("an unknown word", "no_such_word")
		add("a word in capitals", strings.ToUpper(fmt.Sprint(s.Enum[0])))
	}
	switch s.Format {
	case "uuid":
		for _, bad := range []string{"1", "not-a-uuid", "{" + uuid.NewString() + "}", strings.ReplaceAll(uuid.NewString(), "-", ""), "urn:uuid:" + uuid.NewString(), uuid.NewString() + "0", "' OR 1=1 --"} {
			add("no identifier: "+bad, bad)
		}
	case "date":
		for _, bad := range []string{"today", "2026-13-01", "2026-02-30", "01-02-2026", "2026-1-2", "2026-01-02T00:00:00Z", "10000-01-01"} { // X-15, APP-13
			add("no date: "+bad, bad)
		}
	case "date-time":
		for _, bad := range []string{"now", "2026-05-04", "2026-05-04 07:30", "2026-05-04T07:30:00", "2026-05-04T25:30:00Z", "2026-02-30T07:30:00Z", "1777879800", "0000-05-04T07:30:00Z"} {
			add("no instant: "+bad, bad)
		}
	}
}

func objectMistakes(at string, s *openapi3.Schema, example any) []value {
	var all []value
	shown, _ := example.(map[string]any)
	closed := s.AdditionalProperties.Has != nil && !*s.AdditionalProperties.Has
	if closed {
		all = append(all, value{at + "/no_such_property", "an unknown property", "x"}, value{at + "/id", "an identifier of one's own", uuid.NewString()})
		if _, taken := s.Properties["id"]; taken {
			all = all[:len(all)-1]
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		all = append(all, mistakes(at+"/"+name, s.Properties[name].Value, shown[name], true)...)
		if slices.Contains(s.Required, name) {
			all = append(all, value{at + "/" + name, "left out", leftOut{}})
		}
	}
	return all
}

// oddTexts are values that no contract may foresee.
func oddTexts(s *openapi3.Schema) []string {
	odd := []string{
		"", " ", "0", "-1", "null", "true", "[]", "{}", "'", `"`, `\`, "%", "%00", "..", "../..", "a/b", "é", "\x00", "\xff\xfe", "\u202eabc", "𝔘𝔫𝔦",
		"' OR '1'='1", "{{.}}", "${jndi:ldap://x}", "<script>alert(1)</script>", "a\r\nX-Injected: yes", strings.Repeat("a", 1000), strings.Repeat("%", 300),
		"9223372036854775807", "9223372036854775808", "2147483648", "1e308", "NaN", "Infinity", "-0", "0x10",
		uuid.Nil.String(), uuid.Max.String(), strings.ToUpper(uuid.NewString()),
		"0001-01-01", "9999-12-31", "2024-02-29", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-05-04T07:30:00+23:59", "2016-12-31T23:59:60Z",
		"eyJmb28iOiJiYXIifQ", "bnVsbA", "W10", "e30", `"v1"`, `W/"v1"`, `"v99999999999999999999"`, `"v-1"`, "*", `"v1", "v2"`,
	}
	if s.MaxLength != nil && *s.MaxLength < 4000 {
		odd = append(odd, strings.Repeat("ä", int(*s.MaxLength)))
	}
	return odd
}

// oddValues puts such values at every place of a body.
func oddValues(at string, s *openapi3.Schema, example any) []value {
	var all []value
	add := func(v any) { all = append(all, value{pointer: at, value: v}) }
	switch {
	case s.Type.Is("string"):
		for _, odd := range oddTexts(s) {
			add(odd)
		}
		add(json.RawMessage(`"\ud800"`))
		add(json.RawMessage(`"\u0000"`))
	case s.Type.Is("integer"), s.Type.Is("number"):
		for _, odd := range []string{"0", "-0", "-1", "1e2", "1.0", "0.1", "1e308", "-1e308", "5e-324", "1e-400", "2147483647", "2147483648", "9007199254740993", "9223372036854775807", "1e18"} {
			add(json.Number(odd))
		}
	case s.Type.Is("array"):
		add([]any{})
		add([]any{nil})
		items, _ := example.([]any)
		if len(items) > 0 {
			add(slices.Repeat(items[:1], 2))
			all = append(all, oddValues(at+"/0", s.Items.Value, items[0])...)
		}
	case s.Type.Is("object"):
		if at != "" {
			add(map[string]any{})
			add(leftOut{})
		}
		shown, _ := example.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			all = append(all, oddValues(at+"/"+name, s.Properties[name].Value, shown[name])...)
		}
	}
	return all
}

// put returns a copy of a body with v at a place.
func put(body any, pointer string, v any) any {
	if pointer == "" {
		return v
	}
	name, rest, _ := strings.Cut(pointer[1:], "/")
	if rest != "" {
		rest = "/" + rest
	}
	if list, ok := body.([]any); ok {
		i, _ := strconv.Atoi(name)
		list = slices.Clone(list)
		list[i] = put(list[i], rest, v)
		return list
	}
	shown, _ := body.(map[string]any)
	object := maps.Clone(shown)
	if object == nil {
		object = map[string]any{}
	}
	if _, out := v.(leftOut); out && rest == "" {
		delete(object, name)
		return object
	}
	object[name] = put(object[name], rest, v)
	return object
}

func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
