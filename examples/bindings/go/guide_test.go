package ponder_test

// The snippets of docs/go.md.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"ponder"
)

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

	t.Run("files", func(t *testing.T) {
		model, err := ponder.Load("ponder-tiny-r1", &ponder.LoadOptions{Files: os.DirFS("../../models")})
		if err != nil {
			t.Fatal(err)
		}
		model.Close()
	})
}
