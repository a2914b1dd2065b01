package seed

import (
	"math"
	"math/rand/v2"
	"strings"
	"unicode"
)

// vocabulary draws words as a language does: the k-th most frequent about a k-th as often (Zipf), and small words in between.
type vocabulary struct {
	words []string
	draw  []uint16 // places in words, each as often as its word comes
}

const (
	vocabularySize = 20_000
	flattened      = 20 // no word but the small ones is in every second text
	draws          = 1 << 20
)

// CommonWord is in about a quarter of all comments, RareWord in about one of 5,000.
const (
	CommonWord = "sleep"
	RareWord   = "venolumira"
)

func newVocabulary() *vocabulary {
	v := &vocabulary{words: strings.Fields(frequent), draw: make([]uint16, draws)}
	taken := map[string]bool{RareWord: true}
	for _, w := range v.words {
		taken[w] = true
	}
	r := rand.New(rand.NewPCG(1, 1)) // one language for all data
	for len(v.words) < vocabularySize-1 {
		var w strings.Builder
		for range 2 + r.IntN(3) {
			w.WriteByte("bdfghklmnprstvz"[r.IntN(15)])
			w.WriteByte("aeiou"[r.IntN(5)])
		}
		w.WriteByte("lmnrstx"[r.IntN(7)])
		if !taken[w.String()] {
			taken[w.String()] = true
			v.words = append(v.words, w.String())
		}
	}
	v.words = append(v.words, RareWord)
	for i := range v.draw {
		u := (float64(i) + 0.5) / draws
		v.draw[i] = uint16(flattened * (math.Pow(float64(len(v.words))/flattened+1, u) - 1))
	}
	return v
}

func (v *vocabulary) word(r *rand.Rand) string { return v.words[v.draw[r.Uint32()%draws]] }

// title has three to nine words.
func (v *vocabulary) title(r *rand.Rand) []byte {
	title := v.text(r, nil, 3+r.IntN(7))
	return title[:len(title)-1]
}

// text appends sentences of so many words.
func (v *vocabulary) text(r *rand.Rand, text []byte, words int) []byte {
	begin := true
	for i := range words {
		if i > 0 {
			text = append(text, ' ')
		}
		w := v.word(r)
		if u := r.Uint32(); u%5 < 2 {
			w = small[u/5%uint32(len(small))]
		}
		at := len(text)
		text = append(text, w...)
		if begin {
			text[at] = byte(unicode.ToUpper(rune(text[at])))
		}
		begin = r.Uint32()%12 == 0 || i == words-1
		if begin {
			text = append(text, '.')
		}
	}
	return text
}

// spoken writes sleep-apnoea as Sleep apnoea.
func spoken(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "-", " ")
}
