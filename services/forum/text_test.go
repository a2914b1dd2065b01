package forum

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

const rel = ` rel="nofollow noopener noreferrer ugc"`

func TestRenderHTML(t *testing.T) {
	t.Parallel()

	for source, want := range map[string]string{
		"plain":                                          "<p>plain</p>",
		"# Title\n\n*a* **b** ~~c~~ `d`":                 "<h1>Title</h1>\n<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>",
		"a  \nb\n\n---\n\n> c":                           "<p>a<br>\nb</p>\n<hr>\n<blockquote>\n<p>c</p>\n</blockquote>",
		"3. a\n4. b\n   - c":                             "<ol start=\"3\">\n<li>a</li>\n<li>b\n<ul>\n<li>c</li>\n</ul>\n</li>\n</ol>",
		"```go\na < b\n```":                              "<pre><code>a &lt; b\n</code></pre>",
		"a | b\n:-: | --:\n1 | 2":                        "<table>\n<thead>\n<tr>\n<th align=\"center\">a</th>\n<th align=\"right\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"center\">1</td>\n<td align=\"right\">2</td>\n</tr>\n</tbody>\n</table>",
		"under 5 < x > 3 & \"y\"":                        "<p>under 5 &lt; x &gt; 3 &amp; &#34;y&#34;</p>",
		"[a](https://x.example \"t\")":                   `<p><a href="https://x.example" title="t"` + rel + `>a</a></p>`,
		"[a][1]\n\n[1]: http://x.example/?a=1&b=2":       `<p><a href="http://x.example/?a=1&amp;b=2"` + rel + `>a</a></p>`,
		"https://x.example/a_b, www.x.example":           `<p><a href="https://x.example/a_b"` + rel + `>https://x.example/a_b</a>, <a href="http://www.x.example"` + rel + `>www.x.example</a></p>`,
		"<https://x.example> a@x.example":                `<p><a href="https://x.example"` + rel + `>https://x.example</a> <a href="mailto:a@x.example"` + rel + `>a@x.example</a></p>`,
		"![a *cat*](https://x.example/c.png)":            `<p><a href="https://x.example/c.png"` + rel + `>a <em>cat</em></a></p>`,
		"![](https://x.example/c.png)":                   `<p><a href="https://x.example/c.png"` + rel + `>https://x.example/c.png</a></p>`,
		"[![a](https://i.example)](https://x.example)":   `<p><a href="https://x.example"` + rel + `>a</a></p>`,
		"![a [b](https://b.example)](https://x.example)": `<p><a href="https://x.example"` + rel + `>a b</a></p>`,
		"[a](/admin) [b](#c) [d](//x.example) [e](x)":    "<p>a b d e</p>",
		"[a](ftp://x.example) <tel:+4930123456>":         "<p>a tel:+4930123456</p>",
		"<b>bold</b>":                                    "<p>&lt;b&gt;bold&lt;/b&gt;</p>",
		"a <!-- b --> c":                                 "<p>a &lt;!-- b --&gt; c</p>",
		"\x00 \xff \u202e":                               "<p>\uFFFD \uFFFD \u202e</p>",
		"":                                               "",
	} {
		require.Equal(t, want, strings.TrimSpace(renderHTML(source)), source)
	}
}

// attacks are what people send to see whether it runs.
var attacks = []string{
	`<script>alert(1)</script>`, `<SCRIPT SRC=https://evil.example/x.js></SCRIPT>`, `<scr<script>ipt>alert(1)</scr</script>ipt>`, `<script`, `<script/src=//evil.example>`,
	`<img src=x onerror=alert(1)>`, `<img src="x" onerror="alert(1)"`, `<svg onload=alert(1)>`, `<svg><script>alert(1)</script></svg>`, `<svg/onload=alert(1)//`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`, `<iframe srcdoc="<script>alert(1)</script>">`,
	`<iframe src=javascript:alert(1)></iframe>`, `<object data="javascript:alert(1)">`, `<embed src="data:text/html,<script>alert(1)</script>">`,
	`<body onload=alert(1)>`, `<div style="background:url(javascript:alert(1))">x</div>`, `<style>@import 'https://evil.example/x.css';</style>`, `<link rel=stylesheet href=//evil.example>`,
	`<base href="javascript:/a/-alert(1)///">`, `<meta http-equiv="refresh" content="0;url=javascript:alert(1)">`, `<form action="javascript:alert(1)"><button>x</button></form>`,
	`<a href="javascript:alert(1)">x</a>`, `<a href="https://x.example" onclick="alert(1)">x</a>`, `<details open ontoggle=alert(1)>`, `<video><source onerror="alert(1)"></video>`,
	`<!--><script>alert(1)</script>-->`, `<!-- a -- b --!><img src=x onerror=alert(1)>`, `<![CDATA[<script>alert(1)</script>]]>`, `<?php echo 1 ?>`, `<!DOCTYPE html>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<template><script>alert(1)</script></template>`, `<textarea></textarea><script>alert(1)</script>`,
	`<p/onmouseover=alert(1)>`, "<a\nhref\n=\njavascript:alert(1)>x", `<x onfocus=alert(1) tabindex=1 autofocus>`, `</p><script>alert(1)</script>`, `"><script>alert(1)</script>`,
	`[x](javascript:alert(1))`, `[x](JaVaScRiPt:alert(1))`, `[x]( javascript:alert(1))`, "[x](java\tscript:alert(1))", `[x](java&#x73;cript:alert(1))`, `[x](&#106;avascript:alert(1))`,
	`[x](javascript&colon;alert(1))`, `[x](<javascript:alert(1)>)`, `[x](\javascript:alert(1))`, `[x](%6Aavascript:alert(1))`, `[x](&#1;javascript:alert(1))`, "[x](\x01javascript:alert(1))",
	`[x](vbscript:msgbox(1))`, `[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)`, `[x](data:image/svg+xml,<svg onload=alert(1)>)`, `[x](file:///etc/passwd)`,
	`[x](feed:javascript:alert(1))`, `[x](view-source:https://x.example)`, `[x](https:javascript:alert(1))`, `[x](http://x.example" onmouseover="alert(1))`,
	`[x](https://x.example "t" onclick="alert(1)")`, `[x](https://x.example "\"><script>alert(1)</script>")`, `[x](https://x.example '" onmouseover=alert(1) x="')`,
	`[x][1]` + "\n\n[1]: javascript:alert(1)", `[x][1]` + "\n\n[1]: https://x.example \"onclick=alert(1)\"", `[a[b](javascript:alert(1))](https://x.example)`,
	`[![x](javascript:alert(1))](javascript:alert(2))`, `![x](javascript:alert(1))`, `![x"onerror="alert(1)](https://x.example)`, `![x](https://x.example"onerror="alert(1))`,
	`![<img src=x onerror=alert(1)>](https://x.example)`, `![x](data:image/png;base64,AAAA)`, `<javascript:alert(1)>`, `<JAVASCRIPT:alert(1)>`, `<data:text/html,x>`,
	`<https://x.example/"onclick="alert(1)>`, `<a@x.example"onclick=alert(1)>`, `https://x.example/"><script>alert(1)</script>`, `www.x.example'"onmouseover="alert(1)`,
	"```\"><script>alert(1)</script>\nx\n```", "```x\" onmouseover=\"alert(1)\nx\n```", "`</code><script>alert(1)</script>`", "# x {onclick=alert(1)}", "a | b {onclick=alert(1)}\n-|-\n</td><script>alert(1)</script> | x",
	`&lt;script&gt;alert(1)&lt;/script&gt;`, `&#60;script&#62;alert(1)&#60;/script&#62;`, "\u003cscript\u003ealert(1)", "<\x00script>alert(1)</script>", "<scr\x00ipt>", "＜script＞alert(1)＜/script＞",
	"\xbcscript\xbealert(1)", "+ADw-script+AD4-alert(1)", `{{constructor.constructor('alert(1)')()}}`, `<a href="&#x6A;avascript:alert(1)">`, `<a href='//evil.example'>`, "a <b", "a <", "<", "</", "<!", "<!-", "<a href=",
}

func TestRenderHTMLRunsNothing(t *testing.T) { // FOR-11
	t.Parallel()

	for _, attack := range attacks {
		for _, source := range []string{attack, "x " + attack + " y", "> - " + attack, "**" + attack + "**", "[" + attack + "](https://x.example)", "| " + attack + " |\n|-|"} {
			requireSafe(t, source, renderHTML(source))
		}
	}
}

func FuzzRenderHTML(f *testing.F) {
	for _, attack := range attacks {
		f.Add(attack)
	}
	f.Add("# a\n\n1. b\n   > c ~~d~~ **e *f* g** `h` ![i](https://x.example \"j\")\n\n|k|l|\n|:-|-:|\n|m|n|\n\n[o]: https://x.example\n[o] www.x.example a@x.example\n\n\tp\n---\n")
	f.Fuzz(func(t *testing.T, source string) {
		requireSafe(t, source, renderHTML(source))
	})
}

// mayHave are the elements that a rendered text may have, and their attributes.
var mayHave = map[string][]string{
	"html": nil, "head": nil, "body": nil, // the parser puts them around
	"p": nil, "br": nil, "hr": nil, "h1": nil, "h2": nil, "h3": nil, "h4": nil, "h5": nil, "h6": nil, "blockquote": nil, "pre": nil, "code": nil,
	"em": nil, "strong": nil, "del": nil, "ul": nil, "ol": {"start"}, "li": nil, "a": {"href", "title", "rel"},
	"table": nil, "thead": nil, "tbody": nil, "tr": nil, "th": {"align"}, "td": {"align"},
}

// requireSafe parses as a browser does, and lets nothing pass that is not known to be harmless.
func requireSafe(t *testing.T, source, rendered string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(rendered))
	require.NoError(t, err, source)
	for n := range doc.Descendants() {
		switch n.Type {
		case html.TextNode:
			continue
		case html.ElementNode:
		default:
			t.Fatalf("%q\nbecomes\n%s", source, rendered)
		}
		allowed, known := mayHave[n.Data]
		require.True(t, known && n.Namespace == "", "%q\nbecomes\n%s", source, rendered)
		values := map[string]string{}
		for _, a := range n.Attr {
			require.True(t, slices.Contains(allowed, a.Key) && a.Namespace == "", "%q\nbecomes\n%s", source, rendered)
			values[a.Key] = a.Val
		}
		if n.Data == "a" {
			u, err := url.Parse(values["href"])
			require.NoError(t, err, source)
			require.Contains(t, []string{"http", "https", "mailto"}, u.Scheme, source)
			require.Equal(t, relation, values["rel"], source)
		}
	}
}

// TestRenderHTMLStaysSmall wants of texts made to grow, by depth or by emptiness, that they do not.
func TestRenderHTMLStaysSmall(t *testing.T) {
	t.Parallel()

	const size = 40_000 // the longest text
	fill := func(part string) string { return strings.Repeat(part, size/len(part)) }
	for name, source := range map[string]string{
		"quotes":            fill(">"),
		"quotes in lists":   fill("> - "),
		"lists":             fill("- "),
		"lists, kept open":  strings.Repeat("- ", size/4) + strings.Repeat("\n", size/2),
		"numbered lists":    fill("1. "),
		"emphases":          fill("**a "),
		"closed emphases":   strings.Repeat("**a ", size/8) + strings.Repeat(" a**", size/8),
		"mixed emphases":    strings.Repeat("*a **b ~~c", size/10),
		"brackets":          fill("["),
		"images":            fill("!["),
		"closed brackets":   strings.Repeat("[", size/2) + strings.Repeat("](a)", size/8),
		"references":        fill("[a][b]"),
		"definitions":       fill("[a]: b\n"),
		"backticks":         fill("`a``b```"),
		"autolinks":         fill("<a@"),
		"tags":              fill("<a "),
		"wide, long table":  strings.Repeat("|a", size/8) + "\n" + strings.Repeat("|-", size/8) + "\n" + strings.Repeat("|\n", size/4),
		"many small tables": fill("|a|a|a|a\n|-|-|-|-\n|\n|\n|\n|\n\n"),
		"entities":          fill("&amp;"),
		"addresses":         fill("a@b.cc "),
		"domains":           fill("www.a.bb "),
		"underscores":       fill("_a__"),
		"fences":            fill("```\n"),
		"tildes":            fill("~~a~"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			rendered := renderHTML(source)
			requireSafe(t, source, rendered)
			require.Less(t, len(rendered), 30*size)
		})
	}
}

func TestRenderHTMLKeepsWhatIsTooDeepAsText(t *testing.T) {
	t.Parallel()

	require.Contains(t, renderHTML(strings.Repeat("> ", 40)+"still there"), "still there")
	require.Contains(t, renderHTML(strings.Repeat("- ", 40)+"still there"), "still there")
	require.Contains(t, renderHTML(strings.Repeat("*a _b ", 40)+"still there"+strings.Repeat(" b_ a*", 40)), "still there")
	require.Equal(t, 100, strings.Count(renderHTML("|a|b|c|\n|-|-|-|\n"+strings.Repeat("|1|2|3|\n", 99)), "<tr>"), "tables as people make them")
}
