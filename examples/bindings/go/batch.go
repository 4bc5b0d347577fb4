package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// NextBatch is one decode step of several sessions of one model in one forward pass: for each its event, or its error, which
// is io.EOF at the end of its reply. The message of an error is told for the first session that has one.
func NextBatch(ctx context.Context, sessions []*Session) ([]Event, []error, error) {
	if e := ctx.Err(); e != nil {
		return nil, nil, &Error{Status: Cancelled, Message: e.Error(), cause: e}
	}
	raw := make([]*C.ponder_session, len(sessions)+1)
	events := make([]C.ponder_token_event, len(sessions)+1)
	statuses := make([]C.ponder_status, len(sessions)+1)
	held := map[*Session]bool{}
	for i, s := range sessions {
		if !held[s] {
			if !s.use.TryLock() {
				return nil, nil, &Error{Status: WrongState, Message: "a session is in use by another call"}
			}
			defer s.use.Unlock()
			held[s] = true
		}
		raw[i], events[i] = s.raw, newRawEvent()
	}
	var err C.ponder_error
	status := C.ponder_session_next_batch(&raw[0], C.size_t(len(sessions)), &events[0], &statuses[0], &err)
	if e := check(status, &err); e != nil {
		return nil, nil, e
	}
	out, failed, first := make([]Event, len(sessions)), make([]error, len(sessions)), true
	for i, s := range sessions {
		switch {
		case statuses[i] == C.PONDER_OK:
			out[i] = eventOf(&events[i])
		case statuses[i] > 0:
			failed[i] = io.EOF
		case first:
			failed[i], first = check(statuses[i], &err), false
		default:
			failed[i] = &Error{Status: Status(statuses[i])}
		}
		if s.sampler != 0 {
			s.sampler.Value().(*host).goOn()
		}
	}
	return out, failed, nil
}

// BatchOptions: zero means the default.
type BatchOptions struct {
	TokenBudget int // tokens of one step, 16 to 65536; 0: 256
	Threads     int // 0: all of the runtime's
}

// BatchEvent is a token of one session, or its error, which is io.EOF at the end of its reply.
type BatchEvent struct {
	Session *Session
	Event   Event
	Err     error
}

// Batch computes many sessions together: they come and go, and each step computes the next token of those that reply and a
// part of the prompts that wait. Make sessions with DeferPrefill. One goroutine at a time.
type Batch struct {
	raw      *C.ponder_batch
	model    *Model
	use      sync.Mutex
	sessions map[*C.ponder_session]*Session
}

// NewBatch for sessions of the model.
func (m *Model) NewBatch(options BatchOptions) (*Batch, error) {
	defer runtime.KeepAlive(m)
	params := C.ponder_batch_params_default()
	params.token_budget = C.int32_t(options.TokenBudget)
	params.n_threads = C.int32_t(options.Threads)
	b := &Batch{model: m, sessions: map[*C.ponder_session]*Session{}}
	var err C.ponder_error
	if e := check(C.ponder_batch_create(m.runtime.raw, m.raw, &params, &b.raw, &err), &err); e != nil {
		return nil, e
	}
	runtime.SetFinalizer(b, (*Batch).Close)
	return b, nil
}

// Close frees it. Its sessions go on as they are.
func (b *Batch) Close() error {
	b.use.Lock()
	defer b.use.Unlock()
	runtime.SetFinalizer(b, nil)
	C.ponder_batch_free(b.raw)
	b.raw = nil
	return nil
}

func (b *Batch) call(f func(err *C.ponder_error) C.ponder_status) error {
	if !b.use.TryLock() {
		return &Error{Status: WrongState, Message: "the batch is in use by another call"}
	}
	defer b.use.Unlock()
	var err C.ponder_error
	return check(f(&err), &err)
}

// Add a session. Greater priorities are served first, when the budget is not enough for all.
func (b *Batch) Add(s *Session, priority int) error {
	return b.call(func(err *C.ponder_error) C.ponder_status {
		status := C.ponder_batch_add(b.raw, s.raw, C.int32_t(priority), err)
		if status >= 0 {
			b.sessions[s.raw] = s
		}
		return status
	})
}

// Remove a session, which can go on alone. This and the following: NotFound, it is not in the batch.
func (b *Batch) Remove(s *Session) error {
	return b.call(func(err *C.ponder_error) C.ponder_status {
		status := C.ponder_batch_remove(b.raw, s.raw, err)
		if status >= 0 {
			delete(b.sessions, s.raw)
		}
		return status
	})
}

// SetPriority of a session.
func (b *Batch) SetPriority(s *Session, priority int) error {
	return b.call(func(err *C.ponder_error) C.ponder_status {
		return C.ponder_batch_set_priority(b.raw, s.raw, C.int32_t(priority), err)
	})
}

// SetPaused: a paused session gets nothing, not even events.
func (b *Batch) SetPaused(s *Session, paused bool) error {
	value := C.int32_t(0)
	if paused {
		value = 1
	}
	return b.call(func(err *C.ponder_error) C.ponder_status { return C.ponder_batch_set_paused(b.raw, s.raw, value, err) })
}

// Of a step, between two looks at the context.
const slice = 2 * time.Millisecond

// Next is one step: at most one event per session; io.EOF when no session has anything to do. When ctx ends, the step stops
// within one layer's time; the next call goes on with it.
func (b *Batch) Next(ctx context.Context) ([]BatchEvent, error) {
	if e := ctx.Err(); e != nil {
		return nil, &Error{Status: Cancelled, Message: e.Error(), cause: e}
	}
	if ctx.Done() == nil { // it never ends
		events, _, e := b.step(func(out *C.ponder_batch_event, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
			return C.ponder_batch_next(b.raw, out, capacity, count, err)
		})
		return events, e
	}
	for {
		events, pending, e := b.Step(slice)
		if !pending || e != nil {
			return events, e
		}
		if e := ctx.Err(); e != nil {
			return nil, &Error{Status: Cancelled, Message: e.Error(), cause: e}
		}
	}
}

// Step is Next, but with pending after about the budget; call again to go on.
func (b *Batch) Step(budget time.Duration) (events []BatchEvent, pending bool, e error) {
	return b.step(func(out *C.ponder_batch_event, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_batch_step(b.raw, C.int64_t(budget.Microseconds()), out, capacity, count, err)
	})
}

func (b *Batch) step(f func(*C.ponder_batch_event, C.size_t, *C.size_t, *C.ponder_error) C.ponder_status) (events []BatchEvent, pending bool, e error) {
	var status C.ponder_status
	e = b.call(func(err *C.ponder_error) C.ponder_status {
		for raw, s := range b.sessions {
			if s.raw != raw { // closed: it has left by itself
				delete(b.sessions, raw)
			} else if s.use.TryLock() { // else the library leaves it out, too
				defer s.use.Unlock()
			}
		}
		raw := make([]C.ponder_batch_event, len(b.sessions)+1)
		for i := range raw {
			raw[i].struct_size = C.uint32_t(unsafe.Sizeof(raw[i]))
		}
		var count C.size_t
		status = f(&raw[0], C.size_t(len(b.sessions)), &count, err)
		if status == C.PONDER_OK {
			for i := range raw[:count] {
				events = append(events, b.event(&raw[i]))
			}
		}
		for _, s := range b.sessions {
			if s.sampler != 0 {
				s.sampler.Value().(*host).goOn()
			}
		}
		return status
	})
	if e == nil && status == C.PONDER_END {
		e = io.EOF
	}
	return events, status == C.PONDER_PENDING, e
}

func (b *Batch) event(raw *C.ponder_batch_event) BatchEvent {
	event := BatchEvent{Session: b.sessions[raw.session]}
	switch {
	case raw.status == C.PONDER_OK:
		event.Event = eventOf(raw.token)
	case raw.status > 0:
		event.Err = io.EOF
	default:
		event.Err = &Error{Status: Status(raw.status), Message: C.GoString(raw.message)}
	}
	return event
}

// Run steps until no session has anything to do, or onEvent returns false.
func (b *Batch) Run(ctx context.Context, onEvent func(BatchEvent) bool) error {
	for {
		events, e := b.Next(ctx)
		if errors.Is(e, io.EOF) {
			return nil
		}
		if e != nil {
			return e
		}
		for _, event := range events {
			if !onEvent(event) {
				return nil
			}
		}
	}
}
