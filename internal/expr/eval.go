package expr

// evaluation is one call of Eval.
type evaluation struct{ World }

// value returns what a part of a condition is. What and and or do not need is not asked for.
func (x *evaluation) value(n *node) (any, error) {
	switch n.op {
	case opOr, opAnd:
		return x.joined(n)
	case opNot:
		v, err := x.value(n.args[0])
		if err != nil {
			return nil, err
		}
		is, err := truth(n.args[0], v)
		return !is, err
	case opList:
		list := make([]any, 0, len(n.args))
		for _, a := range n.args {
			v, err := x.value(a)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case opEnv:
		if v, set := x.Env(n.ref[0]); set {
			return v, nil
		}
		return nil, nil
	case opBranch:
		if b := x.Branch(); b != "" {
			return b, nil
		}
		return nil, nil
	case opChanged:
		return x.Changed(n.value.(string))
	}
	if n.op.binding() == operand {
		return n.value, nil
	}
	return x.compared(n)
}

// joined evaluates and or or up to the operand that decides.
func (x *evaluation) joined(n *node) (any, error) {
	for _, a := range n.args {
		v, err := x.value(a)
		if err != nil {
			return nil, err
		}
		is, err := truth(a, v)
		if err != nil || is == (n.op == opOr) {
			return is, err
		}
	}
	return n.op == opAnd, nil
}

// truth takes a value as a condition.
func truth(n *node, v any) (bool, error) {
	is, ok := v.(bool)
	if !ok {
		return false, n.fault("%s must be true or false, not %s", n, kindOf(v))
	}
	return is, nil
}

// compared evaluates a comparison.
func (x *evaluation) compared(n *node) (any, error) {
	left, err := x.value(n.args[0])
	if err != nil {
		return nil, err
	}
	right, err := x.value(n.args[1])
	if err != nil {
		return nil, err
	}
	if e := mismatch(n, kindOf(left), kindOf(right)); e != nil {
		return nil, e
	}
	switch n.op {
	case opEqual:
		return equal(left, right), nil
	case opUnequal:
		return !equal(left, right), nil
	case opLess:
		return order(left, right) < 0, nil
	case opLessEqual:
		return order(left, right) <= 0, nil
	case opGreater:
		return order(left, right) > 0, nil
	case opGreaterEqual:
		return order(left, right) >= 0, nil
	}
	return holds(right, left) == (n.op == opIn), nil
}
