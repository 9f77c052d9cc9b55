package search

// linkcut is a forest of nodes that are linked below one another and cut off
// again, which tells the root of a node's tree in logarithmic time, averaged over
// all that is done (the link/cut trees of Sleator and Tarjan, without reversal).
// Walking up instead would let one sender, with messages that refer to each other
// in a chain, make THREAD take the square of their number.
//
// A tree is kept as paths that lead downwards, each a splay tree ordered by depth;
// a path's splay root knows by up which node its top hangs below.
type linkcut []splayNode

type splayNode struct{ up, left, right int32 }

// none is in the place of a node where there is none.
const none = -1

// add adds a node that stands alone.
func (f *linkcut) add() { *f = append(*f, splayNode{none, none, none}) }

// link hangs a root below a node of another tree.
func (f linkcut) link(root, below int32) {
	if f[root] != (splayNode{none, none, none}) {
		f.access(root)
		f.access(below)
	}
	f[root].up = below
}

// cut takes a node with all that hangs below it off its parent.
func (f linkcut) cut(x int32) {
	f.access(x)
	above := f[x].left
	f[x].left, f[above].up = none, none
}

// root gives the root of a node's tree.
func (f linkcut) root(x int32) int32 {
	f.access(x)
	for f[x].left != none {
		x = f[x].left
	}
	f.splay(x) // so that finding it again is cheap
	return x
}

// access makes the way from the root to x one path and x its splay root.
func (f linkcut) access(x int32) {
	below := int32(none)
	for at := x; at != none; at = f[at].up {
		f.splay(at)
		f[at].right = below
		below = at
	}
	f.splay(x)
}

// isTop reports whether x is the root of its splay tree.
func (f linkcut) isTop(x int32) bool {
	up := f[x].up
	return up == none || f[up].left != x && f[up].right != x
}

func (f linkcut) splay(x int32) {
	for !f.isTop(x) {
		up := f[x].up
		if !f.isTop(up) {
			if (f[up].left == x) == (f[f[up].up].left == up) {
				f.rotate(up)
			} else {
				f.rotate(x)
			}
		}
		f.rotate(x)
	}
}

// rotate puts x in its splay parent's place.
func (f linkcut) rotate(x int32) {
	up := f[x].up
	over, top := f[up].up, f.isTop(up)
	var between int32
	if f[up].left == x {
		between = f[x].right
		f[up].left, f[x].right = between, up
	} else {
		between = f[x].left
		f[up].right, f[x].left = between, up
	}
	if between != none {
		f[between].up = up
	}
	f[up].up, f[x].up = x, over
	switch {
	case top:
	case f[over].left == up:
		f[over].left = x
	default:
		f[over].right = x
	}
}
