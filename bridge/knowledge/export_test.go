package knowledge

// KeepUnwritten changes for how many sessions calls are kept in memory.
func (s *Service) KeepUnwritten(sessions int) { s.unwritten.most = sessions }

// Unwritten counts the sessions with calls that are kept in memory.
func (s *Service) Unwritten() int {
	s.unwritten.mu.Lock()
	defer s.unwritten.mu.Unlock()
	return len(s.unwritten.access)
}
