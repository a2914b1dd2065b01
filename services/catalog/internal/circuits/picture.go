package circuits

import (
	"fmt"
	"math"

	api "github.com/healthe/healthe/openapi/catalog"
)

// picture is a drawing of the whole: clients, the catalog, a line with a switch to each core service, and the writes that
// wait. There is one for a desk and one for a phone; the style sheet shows the one that fits.
type picture struct {
	Class                      string
	Width, Height              int
	Clients, Catalog, Deferred box
	Lines                      []line
	Trunk, Waiting, In         string // paths
	Lever                      float64
	Load                       float64 // how wide the line from the clients is
}

type box struct{ X, Y, W, H float64 }

// Left is where the text in a box begins.
func (b box) Left() float64 { return b.X + 16 }

// MidX and MidY are the middle of a box.
func (b box) MidX() float64 { return b.X + b.W/2 }

// MidY is the height of a box's middle.
func (b box) MidY() float64 { return b.Y + b.H/2 }

// Inner is how wide something may be in a box.
func (b box) Inner() float64 { return b.W - 32 }

// Below is n units under the box's upper edge.
func (b box) Below(n float64) float64 { return b.Y + n }

// line leads from the catalog to one service.
type line struct {
	service
	To, From       string // paths up to the switch and from there on
	SwitchX, Y     float64
	LeverX, LeverY float64 // where the lever's end is, seen from its hinge
	CallsX, P95X   float64
	Wide           float64
	Box            box
}

// thickness makes ten times the calls look one step wider.
func thickness(callsPerS float64) float64 {
	return math.Round(10*min(11, 2+2.4*math.Log10(1+callsPerS))) / 10
}

// lever is how far a switch of a length is lifted.
func lever(state api.CircuitState, length float64) (x, y float64) {
	angle := map[api.CircuitState]float64{api.CircuitStateHalfOpen: 20, api.CircuitStateOpen: 42}[state] * math.Pi / 180
	return math.Round(length * math.Cos(angle)), 0 - math.Round(length*math.Sin(angle)) // not -0
}

func wide(v view) picture {
	const step, serviceX, switchX, length = 104.0, 770.0, 580.0, 46.0
	height := max(270, step*float64(len(v.Services)))
	top := (height - 254) / 2
	p := picture{
		Class: "desk", Width: 1000, Height: int(height), Lever: length, Load: thickness(v.Calls),
		Clients: box{0, top + 49, 130, 70}, Catalog: box{220, top, 230, 168}, Deferred: box{220, top + 194, 230, 60},
	}
	p.In = fmt.Sprintf("M130 %g H220", p.Clients.MidY())
	p.Waiting = fmt.Sprintf("M335 %g V%g", p.Catalog.Y+p.Catalog.H, p.Deferred.Y)
	for i, s := range v.Services {
		middle := (height-step*float64(len(v.Services)))/2 + step*(float64(i)+.5)
		from := p.Catalog.MidY() + (float64(i)-float64(len(v.Services)-1)/2)*min(40, 130/float64(len(v.Services)))
		l := line{service: s, SwitchX: switchX, Y: middle, CallsX: (switchX + length + serviceX) / 2, P95X: (switchX + length + serviceX) / 2, Wide: thickness(s.CallsPerS), Box: box{serviceX, middle - 42, 230, 84}}
		l.To = fmt.Sprintf("M450 %g C520 %g 500 %g 555 %g H%g", from, from, middle, middle, switchX)
		l.From = fmt.Sprintf("M%g %g H%g", switchX+length, middle, serviceX)
		l.LeverX, l.LeverY = lever(s.State, length)
		p.Lines = append(p.Lines, l)
	}
	return p
}

func narrow(v view) picture {
	const step, trunkX, boxX, switchX, length = 92.0, 22.0, 148.0, 40.0, 34.0
	p := picture{
		Class: "phone", Width: 350, Lever: length, Load: thickness(v.Calls),
		Clients: box{0, 0, 350, 44}, Catalog: box{0, 70, 350, 150},
	}
	p.In = fmt.Sprintf("M%g 44 V70", p.Clients.MidX())
	y := p.Catalog.Y + p.Catalog.H + 22
	for _, s := range v.Services {
		middle := y + 38
		l := line{service: s, SwitchX: switchX, Y: middle, CallsX: (switchX + length + boxX) / 2, P95X: (trunkX + 4 + boxX) / 2, Wide: min(8, thickness(s.CallsPerS)), Box: box{boxX, middle - 38, 350 - boxX, 76}}
		l.To = fmt.Sprintf("M%g %g H%g", trunkX, middle, switchX)
		l.From = fmt.Sprintf("M%g %g H%g", switchX+length, middle, boxX)
		l.LeverX, l.LeverY = lever(s.State, length)
		p.Lines = append(p.Lines, l)
		y += step
	}
	p.Deferred = box{boxX, y, 350 - boxX, 60}
	p.Waiting = fmt.Sprintf("M%g %g V%g H%g", trunkX, y-step+38, p.Deferred.MidY(), boxX)
	if len(v.Services) > 0 {
		p.Trunk = fmt.Sprintf("M%g %g V%g", trunkX, p.Catalog.Y+p.Catalog.H, y-step+38)
	}
	p.Height = int(p.Deferred.Y + p.Deferred.H + 2)
	return p
}
