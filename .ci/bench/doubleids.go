//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// ids collects the ids in answers.
type ids struct {
	mu  sync.Mutex
	all []string
}

// note is load.answer.
func (i *ids) note(_ int, body []byte) error {
	var made struct {
		ID json.RawMessage `json:"id"` // a number in json-server
	}
	if err := json.Unmarshal(body, &made); err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.all = append(i.all, strings.Trim(string(made.ID), `"`))
	return nil
}

// take returns what was collected, and forgets it.
func (i *ids) take() *queue {
	i.mu.Lock()
	defer i.mu.Unlock()
	q := &queue{all: i.all}
	i.all = nil
	return q
}

// queue hands out ids, one at a time.
type queue struct {
	mu   sync.Mutex
	all  []string
	used int
}

func (q *queue) next() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used == len(q.all) {
		return "", false
	}
	q.used++
	return q.all[q.used-1], true
}

// first is the first id that was there; there is one.
func (q *queue) first() string { return q.all[0] }
