// The catalog service as a process.
package main

import (
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/services/catalog"
)

func main() { server.Main("catalog", catalog.New) }
