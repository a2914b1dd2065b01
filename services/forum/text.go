package forum

import (
	"bytes"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

const (
	relation  = "nofollow noopener noreferrer ugc" // of every link: it gets no credit, and is not told who comes from where
	deepest   = 32                                 // quotes and lists within each other, and as many emphases: no reader wants more, and parsers give up at 512
	priority  = 100
	afterward = 1000
)

// markdown knows no HTML at all: a tag is text like any other, so that nothing of what people wrote vanishes.
var markdown = goldmark.New(
	goldmark.WithParser(parser.NewParser(
		parser.WithBlockParsers(
			util.Prioritized(parser.NewSetextHeadingParser(), 1*priority),
			util.Prioritized(parser.NewThematicBreakParser(), 2*priority),
			util.Prioritized(shallow{parser.NewListParser()}, 3*priority),
			util.Prioritized(parser.NewListItemParser(), 4*priority),
			util.Prioritized(parser.NewCodeBlockParser(), 5*priority),
			util.Prioritized(parser.NewATXHeadingParser(), 6*priority),
			util.Prioritized(parser.NewFencedCodeBlockParser(), 7*priority),
			util.Prioritized(shallow{parser.NewBlockquoteParser()}, 8*priority),
			util.Prioritized(parser.NewParagraphParser(), 10*priority),
		),
		parser.WithInlineParsers(
			util.Prioritized(parser.NewCodeSpanParser(), 1*priority),
			util.Prioritized(parser.NewLinkParser(), 2*priority),
			util.Prioritized(parser.NewAutoLinkParser(), 3*priority),
			util.Prioritized(parser.NewEmphasisParser(), 5*priority),
		),
		parser.WithParagraphTransformers(
			util.Prioritized(parser.LinkReferenceParagraphTransformer, priority),
			util.Prioritized(sparseTable{extension.NewTableParagraphTransformer()}, 2*priority),
		),
		parser.WithASTTransformers(
			util.Prioritized(extension.NewTableASTTransformer(), 0),
			util.Prioritized(tidier{}, afterward),
		),
	)),
	goldmark.WithExtensions(extension.Strikethrough, extension.NewLinkify(extension.WithLinkifyAllowedProtocols([]string{"http:", "https:"}))),
	goldmark.WithRendererOptions(renderer.WithNodeRenderers(
		util.Prioritized(extension.NewTableHTMLRenderer(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), 5*priority),
	)),
)

// policy lets through what markdown makes, and nothing else: two programs would have to be wrong at once.
var policy = func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code", "em", "strong", "del", "ul", "ol", "li",
		"table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|center|right)$`)).OnElements("th", "td")
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("title").Matching(bluemonday.Paragraph).OnElements("a")
	p.AllowAttrs("rel").Matching(regexp.MustCompile("^" + relation + "$")).OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(false)
	return p
}()

// renderHTML returns a Markdown text as HTML that is safe to show as it is. An image becomes a link: its server need not know who reads.
func renderHTML(source string) string {
	var raw bytes.Buffer
	if err := markdown.Convert([]byte(strings.ToValidUTF8(source, "\uFFFD")), &raw); err != nil {
		panic(err) // a buffer takes everything
	}
	return policy.SanitizeReader(&raw).String()
}

// shallow opens no block that is too deep within others; what would have opened it stays text.
type shallow struct{ parser.BlockParser }

func (s shallow) Open(parent ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	depth := 0
	for n := parent; n != nil; n = n.Parent() {
		if n.Kind() == ast.KindBlockquote || n.Kind() == ast.KindList {
			depth++
		}
	}
	if depth < deepest {
		return s.BlockParser.Open(parent, reader, pc)
	}
	if list, ok := parent.(*ast.List); ok { // the parser of lists remembers that it was asked
		return s.BlockParser.Open(list, reader, pc)
	}
	return nil, parser.NoChildren
}

// sparseTable makes no table of many rows that say nothing: each would get a cell for each column of the first.
type sparseTable struct{ parser.ParagraphTransformer }

func (t sparseTable) Transform(node *ast.Paragraph, reader text.Reader, pc parser.Context) {
	lines := node.Lines()
	size, columns := 0, 0
	for _, line := range lines.Sliced(0, lines.Len()) {
		size += line.Len()
		columns = max(columns, bytes.Count(line.Value(reader.Source()), []byte("|"))+1)
	}
	if lines.Len()*columns <= size+100 {
		t.ParagraphTransformer.Transform(node, reader, pc)
	}
}

// tidier makes of images links, says of each link what it is, and unwraps what leads nowhere, or is too deep within its like.
type tidier struct{}

func (tidier) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	depth := 0
	var link ast.Node // that we are in
	var changes []func()
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Type() != ast.TypeInline {
			return ast.WalkContinue, nil
		}
		if !entering {
			depth--
			if n == link {
				link = nil
			}
			return ast.WalkContinue, nil
		}
		depth++
		to, leads := destination(n, reader.Source())
		switch {
		case leads && link == nil && depth <= deepest && mayLinkTo(to):
			link = n
			n.SetAttributeString("rel", []byte(relation))
			if image, ok := n.(*ast.Image); ok {
				changes = append(changes, func() { becomeLink(image) })
			}
		case leads, depth > deepest && n.HasChildren():
			changes = append(changes, func() { unwrap(n, to) })
		}
		return ast.WalkContinue, nil
	})
	for _, change := range changes { // from the outside in, so that everything moves once
		change()
	}
}

// destination is where a node leads, if it is a link of any kind.
func destination(n ast.Node, source []byte) (to []byte, leads bool) {
	switch n := n.(type) {
	case *ast.Link:
		return n.Destination, true
	case *ast.Image:
		return n.Destination, true
	case *ast.AutoLink:
		if n.AutoLinkType == ast.AutoLinkEmail {
			return slices.Concat([]byte("mailto:"), n.Label(source)), true
		}
		return n.URL(source), true
	}
	return nil, false
}

func mayLinkTo(to []byte) bool {
	u, err := url.Parse(string(util.URLEscape(to, true)))
	if err != nil {
		return false
	}
	return u.Scheme == "mailto" || u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// becomeLink puts a link to an image in its place, described as it is.
func becomeLink(image *ast.Image) {
	link := ast.NewLink()
	link.Destination, link.Title = image.Destination, image.Title
	link.SetAttributeString("rel", []byte(relation))
	image.Parent().ReplaceChild(image.Parent(), image, link)
	moveChildren(image, link.Destination, func(c ast.Node) { link.AppendChild(link, c) })
}

// unwrap puts what a node says in its place.
func unwrap(n ast.Node, to []byte) {
	parent := n.Parent()
	moveChildren(n, to, func(c ast.Node) { parent.InsertBefore(parent, n, c) })
	parent.RemoveChild(parent, n)
}

// moveChildren gives those of n to take, or its destination where there are none.
func moveChildren(n ast.Node, to []byte, take func(ast.Node)) {
	if !n.HasChildren() {
		words := ast.NewString(to)
		words.SetRaw(true)
		take(words)
	}
	for c := n.FirstChild(); c != nil; c = n.FirstChild() {
		take(c)
	}
}
