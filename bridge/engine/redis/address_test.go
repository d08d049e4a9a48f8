package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/engine/redis"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ address, shown, prefix string }{
		{"redis://h", "redis://h:6379", "cobridge:"},
		{"redis://:hunter2@h:1/3?prefix=a:", "redis://h:1", "a:"},
		{"rediss://kim:hunter%402@h1:1,h2,[::1]:3", "rediss://h1:1,h2:6379,[::1]:3", "cobridge:"},
		{"redis://[::1]", "redis://[::1]:6379", "cobridge:"},
		{"redis+unix:///run/redis.sock?db=2&prefix=", "redis+unix:///run/redis.sock", ""},
		{"redis-sentinel://a,b:2/main/1?sentinelUser=u&sentinelPassword=hunter2", "redis-sentinel://a:26379,b:2/main", "cobridge:"},
		{"rediss-sentinel://a/main", "rediss-sentinel://a:26379/main", "cobridge:"},
	} {
		got, err := redis.ParseAddress(tt.address)
		if err != nil || got.String() != tt.shown || got.Prefix != tt.prefix {
			t.Errorf("ParseAddress(%q) = %s with prefix %q, %v; want %s with prefix %q", tt.address, got, got.Prefix, err, tt.shown, tt.prefix)
		}
	}
	for _, address := range []string{
		"", "redis:h", "redis://", "http://hunter2", "redis://h:hunter2", "redis://h:0", "redis://h:65536", "redis://h:1/hunter2", "redis://h:1/-1",
		"redis://hunter2%@h", "redis://h?hunter2=1", "redis://h?prefix={hunter2}", "redis://h?db=1", "redis://a,b/1", "redis://a,", "redis+unix://hunter2", "redis+unix://h/p",
		"redis+unix:///p?db=hunter2", "redis-sentinel://h", "redis-sentinel://h/", "redis-sentinel://h/main/hunter2", "redis://h?sentinelPassword=hunter2", "redis://h?%zzhunter2",
	} {
		got, err := redis.ParseAddress(address)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseAddress(%q) = %s, %v; want an error that tells nothing of the address", address, got, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/2?prefix=x", "redis+unix:///p?db=1", "rediss-sentinel://a,b/m/1", "redis://[::1]:1,h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := redis.ParseAddress(s)
		if err == nil && (a.String() == "" || strings.ContainsAny(a.Prefix, "{}")) {
			t.Errorf("ParseAddress(%q) = %q with prefix %q", s, a, a.Prefix)
		}
	})
}

// Moments sort as what they are written to, and are read as they were.
func FuzzTimes(f *testing.F) {
	f.Add(int64(0), int64(0), int64(1), int64(1))
	f.Add(int64(-62135596800), int64(0), int64(253402300799), int64(999999999))
	f.Fuzz(func(t *testing.T, s1, n1, s2, n2 int64) {
		a, b := time.Unix(s1%(1<<40), n1%1e9).UTC(), time.Unix(s2%(1<<40), n2%1e9).UTC()
		for name, write := range map[string]func(time.Time) string{"binary": redis.BinaryTime, "decimal": redis.DecimalTime} {
			if got, want := strings.Compare(write(a), write(b)), a.Compare(b); got != want {
				t.Errorf("%s: %v and %v compare %d, want %d", name, a, b, got, want)
			}
		}
		if got := redis.TimeOf(redis.BinaryTime(a)); !got.Equal(a) {
			t.Errorf("TimeOf(BinaryTime(%v)) = %v", a, got)
		}
		if got, err := redis.ParseDecimalTime(redis.DecimalTime(a)); err != nil || !got.Equal(a) {
			t.Errorf("ParseDecimalTime(DecimalTime(%v)) = %v, %v", a, got, err)
		}
	})
}

// Whatever stands in a key leaves its braces and colons to us, and differs from others.
func FuzzPart(f *testing.F) {
	f.Add("a", "a%3A")
	f.Add("{}", ":")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := redis.Part(a), redis.Part(b)
		if (a == b) != (x == y) || strings.ContainsAny(x, "{}: \n\x00") {
			t.Errorf("Part(%q) = %q, Part(%q) = %q", a, x, b, y)
		}
	})
}
