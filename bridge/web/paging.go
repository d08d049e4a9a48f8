package web

import (
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// The query parameters of paging.
const (
	paramPageSize   = "pageSize"
	paramPageNumber = "pageNumber"
	paramLimit      = "limit"
)

// PageRule is what one list allows. The zero value is that of most lists.
type PageRule struct {
	Default int  // entities on a page when the caller does not say; 0 = [DefaultPageSize]
	Max     int  // the most a caller may ask for; 0 = [MaxPageSize]
	Limit   bool // whether "limit" is another name for pageSize; where both are given, pageSize counts
}

// PageRequest is the page a caller wants. Entities from (Number-1)*Size on, at
// most Size of them, belong on it.
type PageRequest struct {
	Size   int // 1 and up
	Number int // 1..1000000; the first page is 1

	sizeName string // the parameter's name in links: the one that the caller used
}

// Offset returns how many entities stand on the pages before.
func (r PageRequest) Offset() int { return (r.Number - 1) * r.Size }

// Paging reads pageSize and pageNumber. What is missing or empty gets its
// default; what is no number or out of range fails with CodeInvalidQueryParam and
// one Detail for each parameter.
func Paging(c *fiber.Ctx, rule PageRule) (PageRequest, error) {
	if rule.Default == 0 {
		rule.Default = DefaultPageSize
	}
	if rule.Max == 0 {
		rule.Max = MaxPageSize
	}
	req := PageRequest{Size: rule.Default, Number: 1, sizeName: paramPageSize}
	if rule.Limit && c.Query(paramLimit) != "" && c.Query(paramPageSize) == "" {
		req.sizeName = paramLimit
	}
	var problems []string
	var details []cobridge.Detail
	read := func(name string, highest int, into *int) {
		text := c.Query(name)
		if text == "" {
			return
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > highest {
			problems = append(problems, name+" must be an integer from 1 to "+strconv.Itoa(highest))
			details = append(details, cobridge.Detail{ErrorCode: string(cobridge.CodeInvalidQueryParam), FieldName: name})
			return
		}
		*into = n
	}
	read(req.sizeName, rule.Max, &req.Size)
	read(paramPageNumber, maxPageNumber, &req.Number)
	if len(problems) > 0 {
		return PageRequest{}, &cobridge.Error{
			Code: cobridge.CodeInvalidQueryParam, Message: "The query parameter " + strings.Join(problems, "; ") + ".", Details: details,
		}
	}
	return req, nil
}

// Page is the answer of a list, as JSON object. Its links are relative and keep
// the other query parameters of the request.
type Page[T any] struct {
	Entities    []T    `json:"entities"` // never null
	PageSize    int    `json:"pageSize"`
	PageNumber  int    `json:"pageNumber"`
	Total       int    `json:"total"`
	PageCount   int    `json:"pageCount"`
	FirstURI    string `json:"firstUri"`
	SelfURI     string `json:"selfUri"`
	NextURI     string `json:"nextUri,omitempty"`
	PreviousURI string `json:"previousUri,omitempty"`
	LastURI     string `json:"lastUri"`
}

// NewPage returns the page with these entities, total being the number of
// entities on all pages.
func NewPage[T any](c *fiber.Ctx, req PageRequest, entities []T, total int) Page[T] {
	if entities == nil {
		entities = []T{}
	}
	count := (total + req.Size - 1) / req.Size
	link := pageLink(c, req)
	page := Page[T]{
		Entities: entities, PageSize: req.Size, PageNumber: req.Number, Total: total, PageCount: count,
		FirstURI: link(1), SelfURI: link(req.Number), LastURI: link(max(count, 1)),
	}
	if req.Number < count {
		page.NextURI = link(req.Number + 1)
	}
	if req.Number > 1 && req.Number-1 <= count {
		page.PreviousURI = link(req.Number - 1)
	}
	return page
}

// pageLink returns the function that makes the address of a page.
func pageLink(c *fiber.Ctx, req PageRequest) func(number int) string {
	args := fiber.AcquireArgs()
	defer fiber.ReleaseArgs(args)
	for name, value := range c.Context().QueryArgs().All() {
		switch string(name) {
		case paramPageSize, paramPageNumber, req.sizeName:
		default:
			args.AddBytesKV(name, value)
		}
	}
	name := req.sizeName
	if name == "" {
		name = paramPageSize
	}
	args.SetUint(name, req.Size)
	base := c.Path() + "?" + args.String() + "&" + paramPageNumber + "="
	return func(number int) string { return base + strconv.Itoa(number) }
}
