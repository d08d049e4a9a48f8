package web

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/gofiber/fiber/v2"
)

// panicError is a panic on its way to the error handler. Its text names the kind
// of the value only: the value itself may hold what a caller sent. Errors of the
// runtime are an exception, they speak of indices and types.
type panicError struct {
	text  string
	stack []byte
}

func newPanicError(value any) *panicError {
	text := fmt.Sprintf("panic with a %T", value)
	if e, ok := value.(runtime.Error); ok {
		text = "panic: " + e.Error()
	}
	return &panicError{text: text, stack: debug.Stack()}
}

func (e *panicError) Error() string { return e.text }

// Recover returns the middleware that makes a panic of a later handler an error,
// so that it is answered with 500 and logged with its stack.
func Recover() fiber.Handler {
	return func(c *fiber.Ctx) (err error) {
		defer func() {
			if value := recover(); value != nil {
				err = newPanicError(value)
			}
		}()
		return c.Next()
	}
}
