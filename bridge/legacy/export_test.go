package legacy

// Rooms returns how many sessions have members.
func (ch *Channels) Rooms() int {
	ch.rooms.mu.Lock()
	defer ch.rooms.mu.Unlock()
	return len(ch.rooms.byID)
}
