package circuits

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"

	api "github.com/healthe/healthe/openapi/catalog"
)

//go:embed page.html page.css page.js
var files embed.FS

// sheet draws the circuits. It is whole in itself: style and script are in it, and it loads nothing.
type sheet struct {
	templates *template.Template
	policy    string
	style     template.CSS
	script    template.JS
}

func newSheet() *sheet {
	style, script := read("page.css"), read("page.js")
	return &sheet{
		templates: template.Must(template.New("").Funcs(template.FuncMap{
			"number": number, "percent": percent, "millis": millis, "mebibytes": mebibytes, "waited": waited, "plural": plural,
			"of":       func(a, b float64) float64 { return a * b },
			"len64":    func(all []instance) int64 { return int64(len(all)) },
			"pictured": func(v any, p picture) map[string]any { return map[string]any{"View": v, "Picture": p} },
		}).ParseFS(files, "page.html")),
		policy: "default-src 'none'; connect-src 'self'; style-src '" + hash(style) + "'; script-src '" + hash(script) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		style: template.CSS(style), script: template.JS(script), //nolint:gosec // our own files
	}
}

func read(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded above
	}
	return string(text)
}

// hash names a text that a browser may run, and no other.
func hash(text string) string {
	digest := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(digest[:])
}

// draw writes the template called name: `page`, or `live`, the part that changes.
func (p *sheet) draw(w io.Writer, name string, v view) error {
	return p.templates.ExecuteTemplate(w, name, struct {
		view
		Style  template.CSS
		Script template.JS
	}{v, p.style, p.script})
}

// ShowCircuits answers with the page.
func (c *Circuits) ShowCircuits(ctx context.Context, _ api.ShowCircuitsRequestObject) (api.ShowCircuitsResponseObject, error) {
	var out bytes.Buffer
	if err := c.sheet.draw(&out, "page", viewOf(c.take(ctx), c.lately())); err != nil {
		return nil, err
	}
	return api.ShowCircuits200TextHTMLResponse{
		Body: &out, ContentLength: int64(out.Len()),
		Headers: api.ShowCircuits200ResponseHeaders{CacheControl: new("no-store"), ContentSecurityPolicy: new(c.sheet.policy)},
	}, nil
}
