package ponder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"ponder"
)

const tiny = "../../models/ponder-tiny-r1"

var endless = ponder.GenerateParams{IgnoreEOS: true, ContextShift: true, Temperature: 1}

func newSession(t *testing.T) *ponder.Session {
	t.Helper()
	model, err := ponder.Load(tiny, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := model.NewSession(ponder.SessionParams{Compute: ponder.ComputeExact})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func wantAnswer(t *testing.T, session *ponder.Session) {
	t.Helper()
	reply, err := session.Ask(background, "What is 3*7?")
	if err != nil || reply.Answer != `\boxed{21}` {
		t.Fatalf("%+v, %v", reply, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The first program of docs/go.md.
func Example() {
	ctx := context.Background()
	model, err := ponder.Load("../../models/ponder-tiny-r1", nil)
	if err != nil {
		panic(err)
	}
	session, err := model.NewSession(ponder.SessionParams{})
	if err != nil {
		panic(err)
	}
	defer session.Close()
	if err := session.Prompt(ctx, "What is 347+85?"); err != nil {
		panic(err)
	}
	events := session.Events(ctx)
	for events.Next() {
		if event := events.Event(); event.Channel == ponder.Answer {
			fmt.Print(event.Text)
		}
	}
	if err := events.Err(); err != nil {
		panic(err)
	}
	// Output: \boxed{432}
}

func TestThinkingAndAnswerAreApart(t *testing.T) {
	reply, err := newSession(t).Ask(background, "What is 347+85?")
	must(t, err)
	if !strings.HasSuffix(reply.Thinking, "347+85=432\n") || reply.Answer != `\boxed{432}` || reply.Finish != ponder.FinishStop {
		t.Fatalf("%+v", reply)
	}
}

func TestAContextEndsALongCallAndTheSessionGoesOn(t *testing.T) {
	session := newSession(t)
	must(t, session.SetParams(endless))
	must(t, session.Prompt(background, "What is 3+4?"))
	ctx, cancel := context.WithCancel(background)
	_, err := session.Generate(ctx, func(ponder.Event) bool { cancel(); return true })
	if !errors.Is(err, ponder.Cancelled) || !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := session.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	_, err = session.Next(background)
	must(t, err)
	if err := session.Prompt(ctx, "What is 3+4?"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	must(t, session.SetParams(ponder.GenerateParams{}))
	wantAnswer(t, session)
}

func TestAStreamIsAChannelAndLosesNoToken(t *testing.T) {
	whole, err := newSession(t).Ask(background, "What is 347+85?")
	must(t, err)
	session := newSession(t)
	must(t, session.Prompt(background, "What is 347+85?"))
	ctx, cancel := context.WithCancel(background)
	events, failed := session.Stream(ctx)
	ids := []int32{(<-events).ID, (<-events).ID}
	cancel()
	for event := range events {
		ids = append(ids, event.ID)
	}
	if err := failed(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	events, failed = session.Stream(background)
	for event := range events {
		ids = append(ids, event.ID)
	}
	must(t, failed())
	if fmt.Sprint(ids) != fmt.Sprint(whole.Tokens) {
		t.Fatalf("%v, want %v", ids, whole.Tokens)
	}
}

func TestErrorsHaveAStatusAndAMessage(t *testing.T) {
	_, err := ponder.Load("/no/such/folder", nil)
	var failed *ponder.Error
	if !errors.Is(err, ponder.NotFound) || !errors.As(err, &failed) || !strings.Contains(failed.Message, "/no/such/folder") {
		t.Fatal(err)
	}
	if _, err := ponder.Load("a\x00b", nil); !errors.Is(err, ponder.InvalidArgument) {
		t.Fatal(err)
	}
}

func TestASecondCallAtTheSameTimeIsAWrongState(t *testing.T) {
	session := newSession(t)
	must(t, session.Prompt(background, "What is 3+4?"))
	_, err := session.Generate(background, func(ponder.Event) bool {
		if _, err := session.Next(background); !errors.Is(err, ponder.WrongState) {
			t.Error(err)
		}
		return false
	})
	must(t, err)
}

func TestAPanicGoesOnAndTheSessionStaysUsable(t *testing.T) {
	session := newSession(t)
	panics := func(name string, f func()) {
		defer func() {
			if fmt.Sprint(recover()) != name {
				t.Errorf("%s did not go on", name)
			}
		}()
		f()
	}
	must(t, session.Prompt(background, "What is 3+4?"))
	panics("event", func() { session.Generate(background, func(ponder.Event) bool { panic("event") }) })
	panics("prefill", func() { session.PromptText(background, "3", false, func(int, int) bool { panic("prefill") }) })
	must(t, session.SetParams(ponder.GenerateParams{Sampler: func([]float32) (int32, bool) { panic("sampler") }}))
	panics("sampler", func() { session.Ask(background, "What is 3+4?") })
	panics("load", func() { ponder.Load(tiny, &ponder.LoadOptions{Progress: func(float32) bool { panic("load") }}) })
	must(t, session.SetParams(ponder.GenerateParams{}))
	wantAnswer(t, session)
}

func TestASamplerChoosesAndAForkHasNone(t *testing.T) {
	session, calls := newSession(t), 0
	must(t, session.SetParams(ponder.GenerateParams{Sampler: func(logits []float32) (int32, bool) { calls++; return 56, calls == 1 }}))
	must(t, session.Prompt(background, "What is 347+85?"))
	event, err := session.Next(background)
	must(t, err)
	fork, err := session.Fork()
	must(t, err)
	must(t, session.Close())
	_, err = fork.Next(background)
	must(t, err)
	if event.Text != "8" || calls != 1 {
		t.Fatalf("%+v, %d calls", event, calls)
	}
}

func TestFunctionsOfARuntimeLiveAsLongAsItsSessions(t *testing.T) {
	var used int64
	r, err := ponder.NewRuntime(ponder.RuntimeOptions{Threads: 2, Log: func(ponder.LogLevel, string) { panic("dropped") },
		Executor: func(n int, task func(int)) {
			atomic.AddInt64(&used, 1)
			for i := 0; i < n; i++ {
				task(i)
			}
		}})
	must(t, err)
	model, err := ponder.Load(tiny, &ponder.LoadOptions{Runtime: r})
	must(t, err)
	session, err := model.NewSession(ponder.SessionParams{Compute: ponder.ComputeExact})
	must(t, err)
	if _, err := r.Selftest(); err != nil {
		t.Fatal(err)
	}
	must(t, r.Close())
	must(t, model.Close())
	r, model = nil, nil
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	wantAnswer(t, session)
	if used == 0 {
		t.Fatal("the executor was not used")
	}
}

func TestWhatIsNotClosedIsCollected(t *testing.T) {
	for i := 0; i < 20; i++ {
		model, err := ponder.Load(tiny, nil)
		must(t, err)
		session, err := model.NewSession(ponder.SessionParams{})
		must(t, err)
		must(t, session.Prompt(background, "3+4"))
		runtime.GC()
	}
}

// archive hides that a file of os.DirFS can be read at once.
type archive struct{ fs.FS }

type plain struct{ fs.File }

func (p plain) Seek(offset int64, whence int) (int64, error) {
	return p.File.(io.Seeker).Seek(offset, whence)
}

func (a archive) Open(name string) (fs.File, error) {
	file, err := a.FS.Open(strings.TrimPrefix(name, "models/"))
	return plain{file}, err
}

func TestAModelLiesInAnFS(t *testing.T) {
	for prefix, system := range map[string]fs.FS{"": os.DirFS("../../models"), "models/": archive{os.DirFS("../../models")}} {
		path := prefix + "ponder-tiny-r1"
		model, err := ponder.Load(path, &ponder.LoadOptions{Files: system})
		must(t, err)
		session, err := model.NewSession(ponder.SessionParams{Compute: ponder.ComputeExact})
		must(t, err)
		wantAnswer(t, session)
		_, err = ponder.LoadTokenizer(path, system)
		must(t, err)
		_, err = ponder.LoadTemplate(path, system)
		must(t, err)
		_, err = ponder.Inspect(path, ponder.SessionParams{}, system)
		must(t, err)
		if _, err := ponder.Load(prefix+"nothing", &ponder.LoadOptions{Files: system}); !errors.Is(err, ponder.NotFound) {
			t.Fatal(err)
		}
	}
}
