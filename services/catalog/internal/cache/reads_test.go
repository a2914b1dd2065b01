//go:build !race

package cache

const manyReads = 1_000_000
