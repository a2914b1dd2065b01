package forum

import (
	"maps"
	"slices"

	"github.com/healthe/healthe/openapi/problem"
	"github.com/healthe/healthe/services/forum/internal/personal"
)

var errPersonalData = problem.Conflict("personal-data", "Is this meant to be public? It seems to hold personal data; see errors. If it is, send it again with "+
	"acknowledge_personal_data.")

// looksLike says what was found, and never quotes it: problems are kept and logged in places where the find itself must not be.
var looksLike = map[personal.Kind]string{
	personal.Email:       "This looks like an e-mail address.",
	personal.Phone:       "This looks like a telephone number.",
	personal.BankAccount: "This looks like the number of a bank account.",
	personal.Card:        "This looks like the number of a payment card.",
	personal.Insurance:   "This looks like an insurance number.",
	personal.Document:    "This looks like the number of a document.",
}

// checkPersonalData asks whether what looks like personal data is meant to be public. The keys of fields are JSON pointers.
func checkPersonalData(fields map[string]string) error {
	p := *errPersonalData
	for _, pointer := range slices.Sorted(maps.Keys(fields)) {
		for _, kind := range personal.Find(fields[pointer]) {
			p.Errors = append(p.Errors, problem.Field{Pointer: pointer, Detail: looksLike[kind]})
		}
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return &p
}
