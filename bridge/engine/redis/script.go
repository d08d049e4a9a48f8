package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // names a script, as the server does
	_ "embed"     // the scripts
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"
)

// The scripts, each of which runs in one slot.
var (
	//go:embed lua/take.lua
	takeText string
	//go:embed lua/confirm.lua
	confirmText string
	//go:embed lua/unpend.lua
	unpendText string
	//go:embed lua/release.lua
	releaseText string
	//go:embed lua/free.lua
	freeText string
	//go:embed lua/expire.lua
	expireText string
	//go:embed lua/commit.lua
	commitText string
	//go:embed lua/resolve.lua
	resolveText string
	//go:embed lua/clear.lua
	clearText string
	//go:embed lua/bury.lua
	buryText string
	//go:embed lua/intend.lua
	intendText string
	//go:embed lua/leftover.lua
	leftoverText string
	//go:embed lua/index.lua
	indexText string
	//go:embed lua/unindex.lua
	unindexText string
	//go:embed lua/shelf.lua
	shelfText string
	//go:embed lua/lease.lua
	leaseText string
	//go:embed lua/keep.lua
	keepText string
)

// script is a script and the name by which the server keeps it.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // names a script, as the server does
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// scripts are all of them.
type scripts struct {
	take, confirm, unpend, release, free, expire script // of a cell
	commit, resolve, clear, bury                 script // of a session
	intend, leftover, index, unindex             script // of the indexes
	shelf, lease, keep                           script
}

func newScripts() scripts {
	return scripts{
		take: newScript(takeText), confirm: newScript(confirmText), unpend: newScript(unpendText),
		release: newScript(releaseText), free: newScript(freeText), expire: newScript(expireText),
		commit: newScript(commitText), resolve: newScript(resolveText), clear: newScript(clearText), bury: newScript(buryText),
		intend: newScript(intendText), leftover: newScript(leftoverText), index: newScript(indexText), unindex: newScript(unindexText),
		shelf: newScript(shelfText), lease: newScript(leaseText), keep: newScript(keepText),
	}
}

// call is one run of a script.
type call struct {
	script script
	keys   []string
	args   []string
}

func (s *Store) evalsha(c call) rueidis.Completed {
	return s.client.B().Evalsha().Sha1(c.script.sha).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()
}

// run runs one script.
func (s *Store) run(ctx context.Context, c call) (rueidis.RedisMessage, error) {
	results, err := s.runAll(ctx, c)
	if err != nil {
		return rueidis.RedisMessage{}, err
	}
	return results[0], nil
}

// runAll runs scripts that do not need one another's answers, at the same time; those
// of one slot in order. If one fails, others may have run. The server may have lost the
// scripts, by a restart or SCRIPT FLUSH: then their texts are sent.
func (s *Store) runAll(ctx context.Context, calls ...call) ([]rueidis.RedisMessage, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	commands := make([]rueidis.Completed, len(calls))
	for i, c := range calls {
		commands[i] = s.evalsha(c)
	}
	results := s.client.DoMulti(limited, commands...)
	answers := make([]rueidis.RedisMessage, len(calls))
	var failed error
	for i, result := range results {
		if refusal, ok := rueidis.IsRedisErr(result.Error()); ok && refusal.IsNoScript() {
			c := calls[i] //nolint:gosec // there are as many results as commands
			result = s.client.Do(limited, s.client.B().Eval().Script(c.script.text).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
		}
		var err error
		if answers[i], err = result.ToMessage(); err != nil && !rueidis.IsRedisNil(err) && failed == nil {
			failed = s.failure(ctx, err)
		}
	}
	return answers, failed
}

// usable fails after Close, too: the driver would connect again.
func (s *Store) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return unavailable(errClosed)
	}
	return nil
}

// do runs one command.
func (s *Store) do(ctx context.Context, command rueidis.Completed) (rueidis.RedisResult, error) {
	results, err := s.doAll(ctx, command)
	if err != nil {
		return rueidis.RedisResult{}, err
	}
	return results[0], nil
}

// doAll runs commands that do not need one another's answers, at the same time.
func (s *Store) doAll(ctx context.Context, commands ...rueidis.Completed) ([]rueidis.RedisResult, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if len(commands) == 0 {
		return nil, nil
	}
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	results := s.client.DoMulti(limited, commands...)
	for _, result := range results {
		if err := result.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return nil, s.failure(ctx, err)
		}
	}
	return results, nil
}

// list reads the answer of a script that is a list of strings; what is nil is "".
func list(m rueidis.RedisMessage) ([]string, error) {
	values, err := m.ToArray()
	if err != nil {
		return nil, fmt.Errorf("read the answer of a script: %w", err)
	}
	out := make([]string, len(values))
	for i := range values {
		if values[i].IsInt64() {
			n, err := values[i].AsInt64()
			if err != nil {
				return nil, fmt.Errorf("read the answer of a script: %w", err)
			}
			out[i] = strconv.FormatInt(n, 10)
			continue
		}
		if values[i].IsNil() || values[i].IsArray() {
			continue
		}
		if out[i], err = values[i].ToString(); err != nil {
			return nil, fmt.Errorf("read the answer of a script: %w", err)
		}
	}
	return out, nil
}
