package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	go tuneCollector(context.Background()) // ends with the process
	os.Exit(run(context.Background(), os.Args[1:], console{env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// console is what a process has around it.
type console struct {
	env      []string // NAME=value
	in       io.Reader
	out, err io.Writer
}

// getenv returns a variable, "" if there is none.
func (c console) getenv(name string) string {
	value := ""
	for _, entry := range c.env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}

// failure marks what went wrong after the command line was understood.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string, c console) int {
	root := newRoot(c) //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if problems, ok := errors.AsType[*config.Error](err); ok {
		_, _ = fmt.Fprintln(c.err, "cobridge: the configuration is wrong:")
		for _, p := range problems.Problems {
			_, _ = fmt.Fprintln(c.err, "  "+p.String())
		}
		return exitUsage
	}
	_, _ = fmt.Fprintln(c.err, "cobridge:", plain(err.Error())) // services and files may say anything
	if _, ok := errors.AsType[failure](err); ok {
		return exitFailed
	}
	if cmd.HasSubCommands() {
		_, _ = fmt.Fprintf(c.err, "See: %s --help\n", cmd.CommandPath())
	} else {
		_, _ = fmt.Fprintf(c.err, "Usage: %s\nSee: %s --help\n", cmd.UseLine(), cmd.CommandPath())
	}
	return exitUsage
}

// newRoot returns the command line with all its commands.
func newRoot(c console) *cobra.Command {
	root := &cobra.Command{
		Use:   "cobridge",
		Short: "Cobrowse sessions on conversations",
		Long: `cobridge serves cobrowse sessions on conversations, in the style of the Genesys Cloud
platform API. "cobridge demo" shows it without any set-up.

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.AddCommand(newServe(c), newDemo(c), newMock(c), newClient(c), newKey(c), newSession(c), newHistory(c), newDeployment(c), newWebhook(c), newMasking(c), newBackup(c), newRestore(c), newStore(c), newHealthcheck(c), newVerify(c), newScript(c), newConfig(c), newVersion(c))
	return root
}

// group returns a command that does nothing but hold others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// action adapts what a command does: its errors are failures, unless they are
// about the configuration or marked as wrong usage.
func action(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := fn(cmd.Context(), args)
		if _, wrong := errors.AsType[usageError](err); err == nil || wrong {
			return err
		}
		return failure{err}
	}
}

// usageError is a command line that cannot be carried out as it is.
type usageError string

func (e usageError) Error() string { return string(e) }

// untilSignalled returns a context that ends with the first SIGINT or SIGTERM.
// Before it does, signals have got back what they do without us, so that the next
// one ends the process whatever keeps it. The function releases the signals too.
func untilSignalled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}
