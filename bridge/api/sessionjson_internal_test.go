package api

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/web"
)

// appendSession writes every member that the struct has, exactly as encoding/json does.
func TestAppendSession(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var body sessionBody
		fill(random, reflect.ValueOf(&body).Elem())
		if body.Participants == nil {
			body.Participants = []participantBody{} // never null: newSessionBody makes it
		}
		want, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(appendSession(nil, &body))); diff != "" {
			t.Fatalf("encoding/json (-) and appendSession (+) differ:\n%s", diff)
		}
	}
}

// fill sets everything in v to something, or leaves it zero now and then.
func fill(random *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[web.Time]() {
		if random.IntN(3) > 0 {
			v.Set(reflect.ValueOf(web.Time(time.UnixMilli(random.Int64N(4e12)).UTC())))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(random, field)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(4), 4))
		for i := range v.Len() {
			fill(random, v.Index(i))
		}
	case reflect.Pointer:
		if random.IntN(2) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(random, v.Elem())
		}
	case reflect.String:
		texts := []string{"", "plain", `"quoted" \ back`, "<b>&amp;</b>", "Zoë 😀", "line\nbreak\t\x00\x7f", "broken \xff", "\u2028"}
		v.SetString(texts[random.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(random.IntN(2) > 0)
	case reflect.Int:
		v.SetInt(random.Int64N(1000) - 1)
	default:
		panic("a kind of field that fill does not know: " + v.Kind().String())
	}
}
