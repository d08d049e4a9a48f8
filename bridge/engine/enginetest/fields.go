package enginetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// filled returns a value in which no field is zero, whatever fields it has: what
// an engine forgets to store then shows.
func filled[T any]() T {
	var v T
	n := 0
	fillIn(reflect.ValueOf(&v).Elem(), &n)
	return v
}

// fillIn sets v to something that depends on n, and counts n on.
func fillIn(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(t0.Add(time.Duration(*n) * time.Minute)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fillIn(field, n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillIn(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fillIn(v.Index(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillIn(key, n)
		fillIn(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(*n%200) + 1)
	default:
		panic("a kind of field that fillIn does not know: " + v.Kind().String())
	}
}

// testEveryField stores a session and a deployment in which every field is set,
// those included that are added to them some day.
func testEveryField(t *testing.T, e Engine) {
	live := filled[cobrowse.Session]()
	live.ID, live.OrgID, live.Version, live.EndedAt, live.EndReason = "s-1", org, 1, time.Time{}, ""
	over := filled[cobrowse.Session]()
	over.ID, over.OrgID, over.Version = "s-2", org, 2
	first := over.Clone()
	first.Version, first.EndedAt, first.EndReason = 1, time.Time{}, ""
	mustApply(t, e, change(live), change(first), change(over))
	site := filled[cobrowse.Deployment]()
	site.ID, site.OrgID = "d-1", org
	mustStore(t, e.PutDeployment(t.Context(), site))
	for range 2 {
		wantSession(t, e, live)
		wantSession(t, e, over)
		got, err := e.Deployment(t.Context(), site.ID)
		mustStore(t, err)
		wantSame(t, "Deployment", got, site)
		e = e.Reopen(t)
	}
}
