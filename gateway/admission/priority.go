package admission

import "fmt"

// Priority says who is refused first when not everybody can be served, and who is served first when some must wait.
// The zero value is Normal.
type Priority int8

// The priorities in the order in which they are refused.
const (
	Low      Priority = iota - 1 // batches, whatever may be asked again later
	Normal                       // everybody else
	High                         // tenants that pay to be served before others
	Critical                     // operators; never refused for want of memory
)

// Priorities is how many there are.
const Priorities = int(Critical-Low) + 1

// class is the priority's index, lowest first; what is out of range counts as the nearest.
func (p Priority) class() int { return int(min(max(p, Low), Critical) - Low) }

var priorities = [Priorities]string{"low", "normal", "high", "critical"}

// String is the name that configuration and metrics use.
func (p Priority) String() string { return priorities[p.class()] }

// ParsePriority reads a name: low, normal, high, critical; the empty one is Normal.
func ParsePriority(s string) (Priority, error) {
	if s == "" {
		return Normal, nil
	}
	for i, name := range priorities {
		if s == name {
			return Priority(i) + Low, nil
		}
	}
	return Normal, fmt.Errorf("admission: unknown priority %q: want low, normal, high or critical", s)
}
