package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
)

// host is where everything of a stack listens: never outside this machine.
const host = "127.0.0.1"

// Ports has one port for each listener, by the name that process-compose.yaml and the templates use.
type Ports map[string]int

// usualPorts are those of a stack that a person starts; HEALTHE_<NAME> in the environment overrides one.
func usualPorts() Ports {
	return Ports{
		"WEB_PORT": 8080, "WEBSECURE_PORT": 8443, "WEB_INTERNAL_PORT": 8081,
		"POSTGRES_PORT": 15432, "REGISTRY_PORT": 12379, "REGISTRY_PEER_PORT": 12380,
		"MAILPIT_PORT": 8025, "SMTP_PORT": 1025,
		"KRATOS_PUBLIC_PORT": 4433, "KRATOS_ADMIN_PORT": 4434,
		"HYDRA_PUBLIC_PORT": 4444, "HYDRA_ADMIN_PORT": 4445,
	}
}

// loadPorts reads the ports of an earlier start, or chooses and keeps them. The usual ones are never kept:
// they follow the environment.
func loadPorts(file string, free bool) (Ports, error) {
	ports := usualPorts()
	if !free {
		for name := range ports {
			text := os.Getenv("HEALTHE_" + name)
			if text == "" {
				continue
			}
			port, err := strconv.Atoi(text)
			if err != nil || port < 1 || port > 65535 {
				return nil, Fault{fmt.Sprintf("HEALTHE_%s=%s is no port", name, text), "Set it to a number from 1 to 65535."}
			}
			ports[name] = port
		}
		return ports, ports.save(file)
	}
	b, err := os.ReadFile(file)
	if err == nil {
		return ports, json.Unmarshal(b, &ports)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var held []net.Listener // all at once, so that no port is given twice
	for name := range ports {
		ln, err := listenLow()
		if err != nil {
			return nil, err
		}
		held = append(held, ln)
		ports[name] = ln.Addr().(*net.TCPAddr).Port
	}
	for _, ln := range held {
		_ = ln.Close()
	}
	return ports, ports.save(file)
}

// listenLow takes a free port below those that the system gives to outgoing connections and to services that
// ask for any: a server that restarts must find its own port still free.
func listenLow() (ln net.Listener, err error) {
	const lowest, highest, tries = 20000, 32000, 100
	for range tries {
		port := lowest + rand.IntN(highest-lowest)
		if ln, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return ln, nil
		}
	}
	return nil, err
}

// FreePort is one that nothing listens on and that no outgoing connection takes, for a server that may stop and start again.
func FreePort() (int, error) {
	ln, err := listenLow()
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

func (p Ports) save(file string) error {
	b, _ := json.MarshalIndent(p, "", "  ")
	return explain("cannot write "+file, os.WriteFile(file, append(b, '\n'), 0o600))
}

// check finds a port that somebody else has.
func (p Ports) check() error {
	for name, port := range p {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return Fault{
				fmt.Sprintf("Port %d is taken%s", port, listener(port)),
				fmt.Sprintf("Stop what uses it, or choose another: HEALTHE_%s=%d ./task up", name, port+10000),
			}
		}
		_ = ln.Close()
	}
	return nil
}

// listener says which program listens on a port, where the system lets us see it.
func listener(port int) string {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(file)
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line) // sl local_address rem_address st ... inode
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	for _, pid := range pids() {
		dir := fmt.Sprintf("/proc/%d/", pid)
		fds, _ := os.ReadDir(dir + "fd")
		for _, fd := range fds {
			if to, _ := os.Readlink(dir + "fd/" + fd.Name()); inodes[to] {
				name, _ := os.ReadFile(dir + "comm")
				return fmt.Sprintf(" by %s (process %d)", strings.TrimSpace(string(name)), pid)
			}
		}
	}
	return ""
}

// pids lists the processes of this machine.
func pids() []int {
	var all []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}
