package pages

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
)

// pageHeaders keeps the token in the address, and the session on the page, from
// getting anywhere else.
func pageHeaders(c *fiber.Ctx, policy string) {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderPermissionsPolicy, permissions)
	c.Set(fiber.HeaderContentSecurityPolicy, policy)
}

// permissions switches off what a page can ask a browser for.
const permissions = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(), compute-pressure=(), display-capture=(), " +
	"encrypted-media=(), fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), identity-credentials-get=(), idle-detection=(), local-fonts=(), " +
	"magnetometer=(), microphone=(), midi=(), otp-credentials=(), payment=(), picture-in-picture=(), publickey-credentials-create=(), " +
	"publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), window-management=(), xr-spatial-tracking=()"

// messagePolicy is the policy of pages that have no script.
const messagePolicy = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// viewerPolicy is the policy of the join page, and so of the frame in it that
// shows what a sharer sends, which inherits it. That may be anything, hence no
// 'self' for what a page of others could ask for: with it the frame could reach
// our own origin. Styles and icon stand in the page for the same reason. Images
// and fonts may come from the origins that the deployment names, which a hostile
// sharer can let the viewer's browser contact.
//
// The replayer writes style elements and attributes, therefore 'unsafe-inline'
// for styles. The one policy of Trusted Types is that of the frame, for the
// doctypes of old pages; see src/viewer/replay.js.
func viewerPolicy(c *fiber.Ctx, assets []string) string {
	var origins strings.Builder
	for _, origin := range assets {
		if isOrigin(origin) {
			origins.WriteString(" " + origin)
		}
	}
	return "default-src 'none'; script-src 'self'; connect-src 'self'" + streamSource(c) +
		"; style-src 'unsafe-inline'; img-src data: blob:" + origins.String() + "; font-src data:" + origins.String() +
		"; frame-src 'none'; object-src 'none'; media-src 'none'; worker-src 'none'; manifest-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" +
		"; require-trusted-types-for 'script'; trusted-types default"
}

// isOrigin reports whether an origin can stand in a policy without adding anything
// else to it.
func isOrigin(origin string) bool {
	scheme, host, found := strings.Cut(origin, "://")
	return found && (scheme == "http" || scheme == "https") && isHost(host)
}

// isHost reports whether a host, with a port or without, consists of what hosts
// consist of.
func isHost(host string) bool {
	for _, b := range []byte(host) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && !strings.ContainsRune("-._:[]", rune(b)) {
			return false
		}
	}
	return host != ""
}

// streamSource names the WebSocket's origin for browsers to which 'self' does
// not include it (Safari before 15.4). A Host that could break out of the header
// is left out.
func streamSource(c *fiber.Ctx) string {
	host := string(c.Context().Host())
	switch {
	case !isHost(host):
		return ""
	case web.Secure(c):
		return " wss://" + host
	default:
		return " ws://" + host
	}
}
