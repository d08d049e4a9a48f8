package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// DefaultPrefix is what all keys begin with, unless the address says otherwise.
const DefaultPrefix = "cobridge:"

const (
	dialTimeout = 3 * time.Second
	// bufferSize of reading and writing, per connection; the driver would take 512 KB each.
	bufferSize = 32 << 10
	// sentinelRefresh repairs a missed message about a new master.
	sentinelRefresh = 5 * time.Second
)

// Address is where a store is.
type Address struct {
	Prefix string // of all keys

	option rueidis.ClientOption
	shown  string // without user and password
}

// String returns the address without user, password and query.
func (a Address) String() string { return a.shown }

// ParseAddress reads the address of a store:
//
//	redis://[USER:PASSWORD@]HOST[:PORT][/DB]                        one server, or a cluster by any of its nodes
//	redis://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]…                a cluster, by several of its nodes
//	redis+unix://[USER:PASSWORD@]/PATH                              one server on this machine
//	redis-sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DB]      the master of this name, found through Sentinel
//
// With rediss and rediss-sentinel the connections are encrypted, and the certificates
// checked against the system's roots. USER may be empty. The query may have prefix
// (of all keys; default [DefaultPrefix]), db (of redis+unix), sentinelUser and
// sentinelPassword. No error has a part of the address in it: passwords are there.
func ParseAddress(s string) (Address, error) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		return Address{}, errors.New("want redis://HOST:PORT")
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	tail, err := url.Parse("x://x" + rest[len(authority):])
	if err != nil {
		return Address{}, errors.New("the path or the query cannot be read")
	}
	a := Address{Prefix: DefaultPrefix, option: rueidis.ClientOption{
		DisableCache: true, ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize, ConnWriteTimeout: callLimit,
		Dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: time.Second}, ClientName: "cobridge", RetryDelay: retryDelay,
	}}
	hosts := authority
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		hosts = authority[i+1:]
		if a.option.Username, err = url.PathUnescape(user); err == nil {
			a.option.Password, err = url.PathUnescape(password)
		}
		if err != nil {
			return Address{}, errors.New("the user or the password cannot be read: write special characters as %XX")
		}
	}
	query, err := url.ParseQuery(tail.RawQuery)
	if err != nil {
		return Address{}, errors.New("the query cannot be read")
	}
	if err := a.query(query, scheme); err != nil {
		return Address{}, err
	}
	if err := a.place(scheme, hosts, strings.TrimPrefix(tail.Path, "/")); err != nil {
		return Address{}, err
	}
	return a, nil
}

// retryDelay bridges the moment in which a connection is lost and another made, for
// commands that only read; those that write are never repeated by the driver. Without a
// server a call fails after a third of a second.
func retryDelay(attempts int, _ rueidis.Completed, _ error) time.Duration {
	if attempts > 3 {
		return -1
	}
	return time.Duration(attempts) * 50 * time.Millisecond
}

func (a *Address) query(q url.Values, scheme string) error {
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case name == "prefix":
			if strings.ContainsAny(value, "{}") {
				return errors.New("the prefix must not have braces")
			}
			a.Prefix = value
		case name == "db" && scheme == "redis+unix":
			if err := a.database(value); err != nil {
				return err
			}
		case name == "sentinelUser" && strings.HasSuffix(scheme, "-sentinel"):
			a.option.Sentinel.Username = value
		case name == "sentinelPassword" && strings.HasSuffix(scheme, "-sentinel"):
			a.option.Sentinel.Password = value
		default:
			return errors.New("the query has a parameter that is unknown here, want prefix")
		}
	}
	return nil
}

func (a *Address) database(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("the number of the database cannot be read, want 0 or more")
	}
	a.option.SelectDB = n
	return nil
}

// place reads where the servers are.
func (a *Address) place(scheme, hosts, path string) error {
	port := "6379"
	switch scheme {
	case "redis", "rediss":
	case "redis-sentinel", "rediss-sentinel":
		port = "26379"
		master, database, _ := strings.Cut(path, "/")
		if master == "" {
			return errors.New("the name of the master is missing, want redis-sentinel://HOST:PORT/MASTER")
		}
		a.option.Sentinel.MasterSet, a.option.Sentinel.TopologyRefreshInterval = master, sentinelRefresh
		a.option.Sentinel.Dialer = a.option.Dialer
		path = database
	case "redis+unix":
		if hosts != "" || path == "" {
			return errors.New("want redis+unix:///PATH of the socket")
		}
		a.shown = "redis+unix:///" + path
		a.option.InitAddress, a.option.ForceSingleClient = []string{"/" + path}, true
		a.option.DialCtxFn = func(ctx context.Context, socket string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		return nil
	default:
		return errors.New("want redis, rediss, redis+unix, redis-sentinel or rediss-sentinel before ://")
	}
	if strings.HasPrefix(scheme, "rediss") {
		a.option.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		a.option.Sentinel.TLSConfig = a.option.TLSConfig
	}
	if path != "" {
		if err := a.database(path); err != nil {
			return err
		}
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := withPort(host, port)
		if err != nil {
			return err
		}
		a.option.InitAddress = append(a.option.InitAddress, address)
	}
	if len(a.option.InitAddress) > 1 && a.option.SelectDB != 0 && a.option.Sentinel.MasterSet == "" {
		return errors.New("a cluster has database 0 alone")
	}
	a.shown = scheme + "://" + strings.Join(a.option.InitAddress, ",")
	if a.option.Sentinel.MasterSet != "" {
		a.shown += "/" + a.option.Sentinel.MasterSet
	}
	return nil
}

func withPort(host, port string) (string, error) {
	name, given, err := net.SplitHostPort(host)
	if err != nil { // without a port
		name, given = strings.Trim(host, "[]"), port
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > 65535 || name == "" || strings.ContainsAny(name, "[]/ ") || slices.Contains([]string{".", ".."}, name) {
		return "", fmt.Errorf("a host or a port cannot be read, want HOST:%s", port)
	}
	return net.JoinHostPort(name, given), nil
}
