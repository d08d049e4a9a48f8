package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Page is one page of a listing.
type Page[T any] struct {
	Entities    []T    `json:"entities"`
	PageSize    int    `json:"pageSize"`
	PageNumber  int    `json:"pageNumber"` // from 1
	Total       int    `json:"total"`      // of all pages
	PageCount   int    `json:"pageCount"`
	SelfURI     string `json:"selfUri"` // relative
	FirstURI    string `json:"firstUri"`
	LastURI     string `json:"lastUri"`
	NextURI     string `json:"nextUri,omitempty"`     // empty on the last page
	PreviousURI string `json:"previousUri,omitempty"` // empty on the first page
}

// Paging selects a page. The zero value is the first one with 25 entities.
type Paging struct {
	Size   int // 1..100; 0 = 25
	Number int // from 1; 0 = 1
}

func (p Paging) into(q url.Values) url.Values {
	if p.Size != 0 {
		q.Set("pageSize", strconv.Itoa(p.Size))
	}
	if p.Number != 0 {
		q.Set("pageNumber", strconv.Itoa(p.Number))
	}
	return q
}

// values makes a query of the pairs that are not empty.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func list[T any](ctx context.Context, c *Client, path string, query url.Values) (Page[T], error) {
	var page Page[T]
	_, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, into: &page})
	return page, err
}

// all walks through the pages. What changes meanwhile may be missed or come twice.
func all[T any](first Paging, get func(Paging) (Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		at := Paging{Size: first.Size, Number: max(first.Number, 1)}
		for {
			page, err := get(at)
			if err == nil && page.PageNumber != 0 && page.PageNumber != at.Number { // the same page for ever, perhaps
				err = fmt.Errorf("read on: page %d was answered with page %d", at.Number, page.PageNumber)
			}
			if err == nil && page.NextURI != "" && page.PageCount != 0 && at.Number > page.PageCount {
				err = fmt.Errorf("read on: after page %d of %d there is a next one", at.Number, page.PageCount)
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, entity := range page.Entities {
				if !yield(entity, nil) {
					return
				}
			}
			if page.NextURI == "" || len(page.Entities) == 0 {
				return
			}
			at.Number++
		}
	}
}
