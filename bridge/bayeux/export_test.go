package bayeux

// Forget has the server forget a client as a new process would, and returns
// whether there was one.
func (s *Server) Forget(id ClientID) bool {
	c := s.client(id)
	if c == nil {
		return false
	}
	c.mu.Lock()
	_, p, _ := c.end()
	if p != nil {
		c.conclude(p, nil, &reply{Error: errUnknownClient().Error(), Advice: s.adviceTo("handshake", 0)})
	}
	c.mu.Unlock()
	s.leave(c, Dismissed)
	return true
}

// ForgetAll is Forget for all clients, and returns how many there were.
func (s *Server) ForgetAll() (n int) {
	s.mu.Lock()
	var ids []ClientID
	for id := range s.clients {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		if s.Forget(id) {
			n++
		}
	}
	return n
}

// Cut breaks all connections.
func (s *Server) Cut() {
	s.mu.Lock()
	var cut []interface{ cut() }
	for k := range s.sockets {
		cut = append(cut, k)
	}
	for l := range s.lines {
		cut = append(cut, l)
	}
	s.mu.Unlock()
	for _, c := range cut {
		c.cut()
		if l, ok := c.(*line); ok {
			l.client.dropped(l)
		}
	}
}

// Look looks for clients that have gone, now.
func (s *Server) Look() { s.look() }

// Sizes returns the lengths of all lists, for tests that nothing is left.
func (s *Server) Sizes() (clients, networks, subscriptions, sockets, lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients), len(s.networks), len(s.subscriptions), len(s.sockets), len(s.lines)
}
