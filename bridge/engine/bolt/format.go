package bolt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"
)

// format is the version of what is in the file: buckets, keys and the JSON form of
// the domains' structs. A change that an older program would misread raises it.
const format = 1

const formatKey = "format"

// bucket is one of the file's buckets.
type bucket int

// The buckets. Keys are described in keys.go; str is a string that is preceded by
// its length, time a moment that sorts.
const (
	metaBucket            bucket = iota // "format" -> decimal number
	liveBucket                          // session id -> record
	liveByOrg                           // str(org) time(created) session id -> state
	liveByConversation                  // str(org) str(conversation) time(created) session id -> state
	deadlineBucket                      // time(deadline) session id ->
	historyBucket                       // session id -> record
	historyByOrg                        // str(org) time(ended) session id ->
	historyByConversation               // str(org) str(conversation) time(ended) session id ->
	claimBucket                         // str(kind) str(org) str(key) -> JSON of claim
	claimByUntil                        // time(until) claim key ->
	redeemedBucket                      // token id -> time(expiry)
	redeemedByExpiry                    // time(expiry) token id ->
	repeatableBucket                    // str(org) str(client) str(route) str(key) -> JSON
	repeatableByExpiry                  // time(expiry) repeatable key ->
	eventBucket                         // sequence -> JSON
	cursorBucket                        // follower -> sequence
	deploymentBucket                    // deployment id -> JSON
	deploymentByOrg                     // str(org) deployment id ->
	secretBucket                        // name -> secret
	organisationBucket                  // organisation id -> JSON
	userBucket                          // str(org) user id -> JSON
	userByName                          // str(org) text(name) user id -> state
	conversationBucket                  // conversation id -> JSON
	conversationByStart                 // str(org) time(start), inverted, conversation id -> facet
	conversationByEnd                   // time(end) conversation id ->
	clientBucket                        // client id -> JSON
	keyBucket                           // key id -> JSON
	revocationBucket                    // token id -> time(until)
	revocationByUntil                   // time(until) token id ->
	knowledgeBucket                     // str(org) str(tenant) session id -> JSON
	knowledgeByIdentity                 // str(org) str(tenant) str(kind) str(who) str(visit) str(global visit) time(expiry) session id ->
	knowledgeByExpiry                   // time(expiry) knowledge key ->
	channelBucket                       // notification channel id -> JSON
	channelByClient                     // str(org) str(client) time(created) channel id ->
	channelByExpiry                     // time(expiry) channel id ->
	webhookBucket                       // webhook id -> JSON
	webhookByOrg                        // str(org) time(created) webhook id ->
	tallyBucket                         // webhook id -> JSON, how many deliveries it has
	deliveryBucket                      // str(webhook) delivery id -> JSON
	deliveryByState                     // str(webhook) state time(at) sequence delivery id ->
	deliveryByAge                       // time(created) delivery key -> ; pending ones
	deliveryByExpiry                    // time(expiry) delivery key -> ; others

	bucketCount
)

// name is what the bucket is called in the file.
func (b bucket) name() []byte {
	return []byte([bucketCount]string{
		"meta", "live", "liveByOrg", "liveByConversation", "deadline", "history", "historyByOrg", "historyByConversation",
		"claim", "claimByUntil", "redeemed", "redeemedByExpiry", "repeatable", "repeatableByExpiry", "event", "cursor",
		"deployment", "deploymentByOrg", "secret", "organisation", "user", "userByName",
		"conversation", "conversationByStart", "conversationByEnd", "client", "key", "revocation", "revocationByUntil",
		"knowledge", "knowledgeByIdentity", "knowledgeByExpiry", "channel", "channelByClient", "channelByExpiry",
		"webhook", "webhookByOrg", "tally", "delivery", "deliveryByState", "deliveryByAge", "deliveryByExpiry",
	}[b])
}

// grows reports whether new keys come at the end, by and large. Pages of such a
// bucket are filled nearly up instead of being split in the middle.
func (b bucket) grows() bool {
	switch b {
	case liveBucket, conversationBucket, // ids that are made here are ordered by time (UUIDv7)
		deadlineBucket, liveByOrg, historyByOrg, redeemedByExpiry, repeatableByExpiry, claimByUntil, eventBucket, revocationByUntil, knowledgeByExpiry, channelByExpiry, deliveryByAge, deliveryByExpiry:
		return true
	default:
		return false
	}
}

// checkFormat tells whether this program can read and write the file.
func checkFormat(tx *bbolt.Tx, path string) error {
	meta := tx.Bucket(metaBucket.name())
	if meta == nil {
		if first, _ := tx.Cursor().First(); first != nil {
			return damaged(path, errors.New("it is a bbolt file of another program"))
		}
		return nil
	}
	stored := meta.Get([]byte(formatKey))
	if stored == nil {
		return nil
	}
	found, err := strconv.Atoi(string(stored))
	switch {
	case err != nil:
		return damaged(path, fmt.Errorf("read its format: %w", err))
	case found > format:
		return newerFormat(path, found)
	}
	return nil
}

func newerFormat(path string, found int) error {
	return fmt.Errorf("the store %s has format %d, this version of cobridge knows formats up to %d: start the newer version that wrote it", path, found, format)
}

// prepare creates what is missing.
func prepare(tx *bbolt.Tx) error {
	for b := range bucketCount {
		if _, err := tx.CreateBucketIfNotExists(b.name()); err != nil {
			return fmt.Errorf("create store: %w", err)
		}
	}
	if err := tx.Bucket(metaBucket.name()).Put([]byte(formatKey), []byte(strconv.Itoa(format))); err != nil {
		return fmt.Errorf("create store: %w", err)
	}
	return nil
}

// encode is how domain structs are stored: JSON under their Go field names.
func encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return data, nil
}

func decode[T any](data []byte) (T, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("decode what is stored: %w", err)
	}
	return v, nil
}
