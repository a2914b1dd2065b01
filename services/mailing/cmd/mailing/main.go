// The mailing service as a process.
package main

import (
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/services/mailing"
)

func main() { server.Main("mailing", mailing.New) }
