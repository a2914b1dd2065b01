// The forum service as a process.
package main

import (
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/services/forum"
)

func main() { server.Main("forum", forum.New) }
