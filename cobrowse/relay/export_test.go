package relay

// Valid tells whether the scanner takes data for JSON of at most so many levels.
func Valid(data []byte, levels int) bool {
	s := scanner{data: data, levels: levels}
	s.value()
	s.next()
	return !s.failed && s.pos == len(data)
}

// Text returns what the scanner reads of data, which is a JSON string.
func Text(data []byte) (string, bool) {
	s := scanner{data: data}
	text := s.text()
	return string(text), !s.failed && s.pos == len(data)
}

// KeepItems is the capacity that a queue keeps when it is emptied.
const KeepItems = keepItems

// Held returns how many frames the queue has room for without asking for memory.
func (q *Queue) Held() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return cap(q.items)
}
