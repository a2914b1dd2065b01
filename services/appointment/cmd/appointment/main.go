// The appointment service as a process.
package main

import (
	"github.com/healthe/healthe/kit/server"
	"github.com/healthe/healthe/services/appointment"
)

func main() { server.Main("appointment", appointment.New) }
