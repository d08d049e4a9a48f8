package legacy

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/cobridge/cobridge/bridge/web"
)

// typeJSON is the content type of the old cobrowse server, letter by letter: some
// clients compare it.
const typeJSON = "application/json;charset=UTF-8"

// cobrowseFailure is an error of the cobrowse surfaces of the old server. No public
// document has its body; clients rely on the status.
type cobrowseFailure struct {
	Error   string `json:"error"`   // the status in a word, such as not_found
	Message string `json:"message"` // for people
	// Reason says more of a 403 or 409: cobrowse.role.taken, cobrowse.agent.busy.
	Reason string `json:"reason,omitempty"`
}

// writeCobrowseFailure is how the cobrowse surfaces of the old server speak of
// failures, to callers that a rule keeps out too.
func writeCobrowseFailure(access Access) func(*fiber.Ctx, web.Failure) error {
	return func(c *fiber.Ctx, f web.Failure) error {
		// A surface with several rules has said it by itself.
		if f.Status == fiber.StatusUnauthorized && c.GetRespHeader(fiber.HeaderWWWAuthenticate) == "" {
			c.Set(fiber.HeaderWWWAuthenticate, access.challenge(f.Code))
		}
		c.Status(f.Status)
		body := cobrowseFailure{Error: failureName(f.Status), Message: f.Message}
		if (f.Status == fiber.StatusConflict || f.Status == fiber.StatusForbidden) && len(f.Details) > 0 {
			body.Reason = f.Details[0].ErrorCode
		}
		return sendJSON(c, body)
	}
}

// failureName is the member error of an answer with this status: 404 is not_found.
func failureName(status int) string {
	return strings.ReplaceAll(strings.ToLower(utils.StatusMessage(status)), " ", "_")
}

// sendJSON answers with a JSON text in the old server's content type. Addresses keep
// their ampersands, which encoding/json would escape for pages that nobody makes here.
func sendJSON(c *fiber.Ctx, body any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, typeJSON)
	return c.Send(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
}
