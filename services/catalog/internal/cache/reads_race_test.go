//go:build race

package cache

const manyReads = 100_000 // the race detector makes each of them ten times as dear
