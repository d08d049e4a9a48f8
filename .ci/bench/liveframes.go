//go:build linux

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// headSize is about what stands before the events of an ev frame.
const headSize = 46

// evBody returns the events of an ev frame that has about so many bytes in all: a
// page that was scrolled, or rows that were added to a table.
func evBody(size int) []byte {
	const (
		begin = `{"type":3,"data":{"source":0,"texts":[],"attributes":[],"removes":[],"adds":[`
		end   = `]},"timestamp":1732200000000}]}`
		row   = `{"parentId":7,"nextId":null,"node":{"type":2,"tagName":"tr","attributes":{"class":"row","data-state":"open"},"childNodes":[],"id":%d}},` +
			`{"parentId":%d,"nextId":null,"node":{"type":3,"textContent":"Order number, date and state of delivery","id":%d}},`
	)
	size -= headSize
	if size < 300 {
		return []byte(`{"type":3,"data":{"source":3,"id":1,"x":0,"y":12},"timestamp":1}]}`)
	}
	var b strings.Builder
	b.WriteString(begin)
	for id := 1000; b.Len()+2*len(row)+len(end) < size; id += 2 {
		fmt.Fprintf(&b, row, id, id, id+1)
	}
	last := `{"parentId":7,"nextId":null,"node":{"type":3,"textContent":"","id":999}}`
	fill := strings.Repeat("x", max(0, size-b.Len()-len(last)-len(end)))
	b.WriteString(strings.Replace(last, `""`, `"`+fill+`"`, 1))
	b.WriteString(end)
	return []byte(b.String())
}

// fullBody returns the events of a full frame of about so many bytes: a table.
func fullBody(size int) []byte {
	const (
		begin = `{"type":4,"data":{"href":"https://shop.example/orders","width":1280,"height":800},"timestamp":1732200000000},` +
			`{"type":2,"data":{"node":{"type":0,"childNodes":[{"type":2,"tagName":"html","attributes":{"lang":"en"},"childNodes":[` +
			`{"type":2,"tagName":"head","attributes":{},"childNodes":[],"id":3},{"type":2,"tagName":"body","attributes":{},"childNodes":[` +
			`{"type":2,"tagName":"table","attributes":{"class":"orders"},"childNodes":[`
		end = `],"id":7}],"id":4}],"id":2}],"id":1},"initialOffset":{"left":0,"top":0}},"timestamp":1732200000000}]}`
		row = `{"type":2,"tagName":"tr","attributes":{"class":"row"},"childNodes":[{"type":3,"textContent":"Order number, date and state of delivery","id":%d}],"id":%d}`
	)
	var b strings.Builder
	b.WriteString(begin)
	for id := 10; id == 10 || headSize+b.Len()+len(row)+len(end) < size; id += 2 {
		if id > 10 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, row, id, id+1)
	}
	b.WriteString(end)
	return []byte(b.String())
}

// appendEvHead appends what stands before the events. sent, which the server reads
// past, is when the frame was sent: time since the harness started, nanoseconds.
func appendEvHead(to []byte, sequence uint64, sent time.Duration, full bool) []byte {
	to = append(to, `{"t":"ev","e":1,"s":`...)
	to = strconv.AppendUint(to, sequence, 10)
	to = append(to, `,"c":`...)
	to = strconv.AppendInt(to, int64(sent), 10)
	if full {
		to = append(to, `,"k":"full"`...)
	}
	return append(to, `,"b":[`...)
}
