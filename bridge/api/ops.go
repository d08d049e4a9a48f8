package api

import (
	"context"
	"runtime"

	"github.com/gofiber/fiber/v2"
)

// Check is one thing that must work for the service to be ready. Run returns nil
// when it does; its error is not shown. It must respect its context and may be
// called concurrently.
type Check struct {
	Name string // as it stands in the answer
	Run  func(ctx context.Context) error
}

type healthBody struct {
	Status string `json:"status"`
}

// getRoot answers GET /: who opens the base URL in a browser wants to know what
// is here.
func (a *api) getRoot(c *fiber.Ctx) error { return c.Redirect(a.prefix+"/docs", fiber.StatusFound) }

// getHealth answers GET /healthz: the process runs and answers.
func getHealth(c *fiber.Ctx) error { return c.JSON(healthBody{Status: "ok"}) }

type readinessBody struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"`
}

// getReadiness answers GET /readyz.
func (a *api) getReadiness(c *fiber.Ctx) error {
	body := readinessBody{Status: "ready", Checks: make(map[string]string, len(a.Checks))}
	status := fiber.StatusOK
	for _, check := range a.Checks {
		body.Checks[check.Name] = "ok"
		if err := check.Run(c.UserContext()); err != nil {
			body.Checks[check.Name] = "failed"
			body.Status, status = "notReady", fiber.StatusServiceUnavailable
		}
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(status).JSON(body)
}

type versionBody struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	GoVersion string `json:"goVersion"`
}

// getVersion answers GET /version.
func (a *api) getVersion(c *fiber.Ctx) error {
	return c.JSON(versionBody{Name: "cobridge", Version: a.Version, Commit: a.Commit, GoVersion: runtime.Version()})
}
