package mailing

import (
	"embed"
	"fmt"
	html "html/template"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	text "text/template"
	"text/template/parse"

	"github.com/healthe/healthe/openapi/problem"
)

//go:embed templates/*.txt templates/*.html
var templateFiles embed.FS

// recipientName is the one value that a template gets at sending time. It may be empty.
const recipientName = "recipient_name"

// content is what a mail says.
type content struct{ Subject, Text, HTML string }

// letter is one kind of mail: a text, which defines the subject too, and the same in HTML.
type letter struct {
	text     *text.Template
	html     *html.Template
	required []string // the keys of data it cannot do without
}

type letters map[string]letter

// loadLetters parses every template, so that a broken one stops the start and not a mail.
func loadLetters() (letters, error) {
	names, err := fs.Glob(templateFiles, "templates/*.txt")
	if err != nil {
		return nil, err
	}
	all := letters{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".txt")
		t, err := text.New(path.Base(file)).Option("missingkey=error").ParseFS(templateFiles, file)
		if err != nil {
			return nil, err
		}
		if t.Lookup("subject") == nil {
			return nil, fmt.Errorf("%s defines no subject", file)
		}
		h, err := html.New("layout.html").Option("missingkey=error").ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, err
		}
		all[name] = letter{text: t, html: h, required: requiredKeys(t, h.Lookup("body").Tree)}
	}
	return all, nil
}

// check says what data lacks for the template of this name.
func (l letters) check(name string, data map[string]string) []problem.Field {
	t, ok := l[name]
	if !ok {
		return []problem.Field{{Pointer: "/template", Detail: "There is no template of this name."}}
	}
	var wrong []problem.Field
	for _, key := range t.required {
		if data[key] == "" {
			wrong = append(wrong, problem.Field{Pointer: "/data/" + key, Detail: "The template needs this value."})
		}
	}
	return wrong
}

// render says what a mail of this template says.
func (l letters) render(name string, data map[string]string) (content, error) {
	t, ok := l[name]
	if !ok {
		return content{}, fmt.Errorf("no template %q", name)
	}
	var subject, plain, rich strings.Builder
	if err := t.text.ExecuteTemplate(&subject, "subject", data); err != nil {
		return content{}, err
	}
	if err := t.text.Execute(&plain, data); err != nil {
		return content{}, err
	}
	page := maps.Clone(data)
	page["subject"] = oneLine(subject.String())
	if err := t.html.Execute(&rich, page); err != nil {
		return content{}, err
	}
	return content{Subject: page["subject"], Text: strings.TrimSpace(plain.String()) + "\n", HTML: rich.String()}, nil
}

// requiredKeys finds every {{.key}} of a letter. What is optional is written {{index . "key"}}.
func requiredKeys(t *text.Template, body *parse.Tree) []string {
	var keys []string
	for _, part := range append(t.Templates(), t) {
		if part.Tree != nil {
			keys = appendKeys(keys, part.Root)
		}
	}
	keys = appendKeys(keys, body.Root)
	slices.Sort(keys)
	return slices.Compact(keys)
}

func appendKeys(keys []string, node parse.Node) []string {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return keys
		}
		for _, child := range n.Nodes {
			keys = appendKeys(keys, child)
		}
	case *parse.ActionNode:
		keys = appendKeys(keys, n.Pipe)
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			for _, arg := range command.Args {
				keys = appendKeys(keys, arg)
			}
		}
	case *parse.FieldNode:
		keys = append(keys, n.Ident[0])
	case *parse.IfNode:
		keys = appendBranch(keys, &n.BranchNode)
	case *parse.WithNode:
		keys = appendBranch(keys, &n.BranchNode)
	}
	return keys
}

func appendBranch(keys []string, n *parse.BranchNode) []string {
	keys = appendKeys(keys, n.Pipe)
	keys = appendKeys(keys, n.List)
	return appendKeys(keys, n.ElseList)
}
