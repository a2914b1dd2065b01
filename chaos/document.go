package main

import (
	"fmt"
	"strings"
)

func document(rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Resilience\n\n")
	b.WriteString(markdown(rows))
	return b.String()
}
