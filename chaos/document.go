package main

import (
	"bytes"
	_ "embed"
	"text/template"
	"time"
)

//go:embed resilience.md.tmpl
var text string

var page = template.Must(template.New("resilience.md").Parse(text))

// document is the whole of docs/resilience.md.
func document(rows []row) (string, error) {
	data := struct {
		Rows                                        []row
		Table                                       string
		OtherRate, FaultedRate, WriteRate, Patients int
		Normal, Broken, Patience                    time.Duration
		WorstP99, Slowest                           float64
		Requests, Accepted, Deferred, Lost, Doubled int
		Broke                                       []string
	}{
		Rows: rows, Table: markdown(rows),
		OtherRate: otherRate, FaultedRate: faultedRate, WriteRate: writeRate, Patients: patients,
		Normal: normal, Broken: broken, Patience: patience, WorstP99: worstP99,
	}
	for _, r := range rows {
		data.Requests += r.requests
		data.Accepted += r.accepted
		data.Deferred += r.balance.deferred
		data.Lost += r.lost
		data.Doubled += r.doubled
		if !r.shared {
			data.Slowest = max(data.Slowest, r.ratio())
		}
		data.Broke = append(data.Broke, r.broke()...)
	}
	var b bytes.Buffer
	err := page.Execute(&b, data)
	return b.String(), err
}

// Name and What are for the page.
func (f fault) Name() string { return f.name }

// What happens, in words.
func (f fault) What() string { return f.what }
