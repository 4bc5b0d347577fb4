package ponder_test

// The snippets of docs/go.md.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"ponder"
)

// A context that ends when it has been looked at so many times.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Done() <-chan struct{} { return make(chan struct{}) }
func (c *endsAfter) Err() error {
	if c.left--; c.left >= 0 {
		return nil
	}
	return context.DeadlineExceeded
}

func TestGuide(t *testing.T) {
	ctx := context.Background()
	model, err := ponder.Load(tiny, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := model.NewSession(ponder.SessionParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()

	t.Run("ask", func(t *testing.T) {
		params := ponder.R1Params()
		params.Seed, params.ThinkBudget = 1, 200
		if err := session.SetParams(params); err != nil {
			t.Fatal(err)
		}
		reply, err := session.Ask(ctx, "What is 3*7?")
		fmt.Println(reply.Answer, reply.Finish)
		if err != nil || reply.Answer != `\boxed{21}` {
			t.Fatal(reply, err)
		}
	})

	t.Run("deadline", func(t *testing.T) {
		must(t, session.SetParams(endless))
		ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		err := session.Prompt(ctx, "What is 3+4?")
		if err == nil {
			_, err = session.Generate(ctx, nil)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			fmt.Println("it took too long; the session can be used on")
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		must(t, session.SetParams(ponder.GenerateParams{}))
		wantAnswer(t, session)
	})

	t.Run("channel", func(t *testing.T) {
		must(t, session.Prompt(ctx, "What is 347+85?"))
		n := 0
		events, failed := session.Stream(ctx)
		for event := range events {
			fmt.Print(event.Text)
			n++
		}
		if err := failed(); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			t.Fatal("no events")
		}
	})

	t.Run("errors", func(t *testing.T) {
		_, err := ponder.Load("/no/such/folder", nil)
		var failed *ponder.Error
		switch {
		case errors.Is(err, ponder.NotFound):
			fmt.Println(err) // /no/such/folder: no such folder
		case errors.As(err, &failed):
			fmt.Println(failed.Status, failed.Message)
		}
		if !errors.Is(err, ponder.NotFound) {
			t.Fatal(err)
		}
	})

	t.Run("adapter", func(t *testing.T) {
		adapter, err := model.LoadAdapter("../conformance/adapter")
		if err != nil {
			t.Fatal(err)
		}
		err = session.SetAdapters(ponder.AdapterUse{Adapter: adapter, Scale: 25}) // 1: as it was trained
		must(t, err)
		must(t, session.SetParams(ponder.GenerateParams{MaxNewTokens: 12}))
		reply, err := session.Ask(ctx, "What is 3*7?")
		if err != nil || strings.Contains(reply.Thinking, "21") {
			t.Fatal(reply, err)
		}
		must(t, session.SetAdapters())
		must(t, session.SetParams(ponder.GenerateParams{}))
		wantAnswer(t, session)
	})

	t.Run("batch", func(t *testing.T) {
		cache := t.TempDir()
		batch, err := model.NewBatch(ponder.BatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer batch.Close()
		answers := map[*ponder.Session]string{}
		for _, question := range []string{"What is 3*7?", "What is 347+85?"} {
			session, err := model.NewSession(ponder.SessionParams{
				DeferPrefill: true, PromptCache: cache, PromptCacheMinTokens: 16, // the batch computes the prompts
			})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if err = session.Prompt(ctx, question); err == nil {
				err = batch.Add(session, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		err = batch.Run(ctx, func(event ponder.BatchEvent) bool {
			if event.Err == nil && event.Event.Channel != ponder.Thinking {
				answers[event.Session] += event.Event.Text
			}
			return true
		})
		must(t, err)
		total := ""
		for _, answer := range answers {
			total += answer
		}
		if len(answers) != 2 || !strings.Contains(total, `\boxed{21}`) || !strings.Contains(total, `\boxed{432}`) {
			t.Fatal(answers)
		}
	})

	t.Run("a context that ends in the middle of a batch's step", func(t *testing.T) {
		long, err := model.NewSession(ponder.SessionParams{DeferPrefill: true, Threads: 1})
		must(t, err)
		defer long.Close()
		must(t, long.Prompt(ctx, strings.Repeat("What is 3*7? ", 36)))
		batch, err := model.NewBatch(ponder.BatchOptions{TokenBudget: 512, Threads: 1})
		must(t, err)
		defer batch.Close()
		must(t, batch.Add(long, 0))
		events, err := batch.Next(&endsAfter{Context: ctx, left: 1})
		if err == nil && len(events) == 1 {
			t.Skip("a machine that computes it in one slice")
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(events, err)
		}
		events, err = batch.Next(ctx) // the step goes on
		if err != nil || len(events) != 1 {
			t.Fatal(events, err)
		}
	})

	t.Run("files", func(t *testing.T) {
		model, err := ponder.Load("ponder-tiny-r1", &ponder.LoadOptions{Files: os.DirFS("../../models")})
		if err != nil {
			t.Fatal(err)
		}
		model.Close()
	})
}
