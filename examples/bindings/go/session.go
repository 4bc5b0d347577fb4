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
	"runtime/cgo"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Session is one conversation with a model. One goroutine at a time, except Cancel; a second call at the same time is
// WrongState.
type Session struct {
	raw      *C.ponder_session
	model    *Model
	info     ModelInfo
	use      sync.Mutex // held by the call that runs
	life     sync.Mutex // Cancel beside Close
	params   GenerateParams
	adapters []*Adapter // that it uses
	sampler  cgo.Handle // of a *host, or 0
	waiting  *Event     // computed, but its context had ended
}

// NewSession reserves the memory of its context.
func (m *Model) NewSession(params SessionParams) (*Session, error) {
	defer runtime.KeepAlive(m)
	var a arena
	defer a.free()
	raw, e := params.raw(&a)
	if e != nil {
		return nil, e
	}
	return newSession(m, func(out **C.ponder_session, err *C.ponder_error) C.ponder_status {
		return C.ponder_session_create(m.runtime.raw, m.raw, &raw, out, err)
	})
}

func newSession(m *Model, f func(out **C.ponder_session, err *C.ponder_error) C.ponder_status) (*Session, error) {
	var raw *C.ponder_session
	var err C.ponder_error
	if e := check(f(&raw, &err), &err); e != nil {
		return nil, e
	}
	s := &Session{raw: raw, model: m, info: m.info}
	runtime.SetFinalizer(s, (*Session).Close)
	return s, nil
}

// Close cancels what another goroutine computes with it, and frees it.
func (s *Session) Close() error {
	s.Cancel()
	s.use.Lock()
	defer s.use.Unlock()
	s.life.Lock()
	defer s.life.Unlock()
	runtime.SetFinalizer(s, nil)
	C.ponder_session_free(s.raw)
	s.raw = nil
	if s.sampler != 0 {
		s.sampler.Delete()
		s.sampler = 0
	}
	return nil
}

// Cancel, from any goroutine: the running call, or else the next one that computes, gives Cancelled, and so do all that
// follow until a prompt, Rewind or Restore.
func (s *Session) Cancel() {
	s.life.Lock()
	defer s.life.Unlock()
	C.ponder_session_cancel(s.raw)
}

// call is a call that is over soon.
func (s *Session) call(f func(err *C.ponder_error) C.ponder_status) error {
	if !s.use.TryLock() {
		return &Error{Status: WrongState, Message: "the session is in use by another call"}
	}
	defer s.use.Unlock()
	var err C.ponder_error
	return check(f(&err), &err)
}

// compute is a call that computes, which the end of ctx cancels. goOn: the session is then as if it had not been.
func (s *Session) compute(ctx context.Context, goOn bool, f func(err *C.ponder_error) C.ponder_status) (C.ponder_status, error) {
	if !s.use.TryLock() {
		return 0, &Error{Status: WrongState, Message: "the session is in use by another call"}
	}
	defer s.use.Unlock()
	if e := ctx.Err(); e != nil {
		return 0, &Error{Status: Cancelled, Message: e.Error(), cause: e}
	}
	cancelled := false
	stop := func() {}
	if ctx.Done() != nil {
		over, watched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-ctx.Done():
				cancelled = true
				s.Cancel()
			case <-over:
			}
		}()
		stop = func() {
			close(over)
			<-watched
		}
	}
	var err C.ponder_error
	status := f(&err)
	stop()
	e := check(status, &err)
	if cancelled && (goOn || status >= 0) {
		s.clearCancel()
	}
	if cancelled && Status(status) == Cancelled {
		e = &Error{Status: Cancelled, Message: ctx.Err().Error(), cause: ctx.Err()}
	}
	if s.sampler != 0 {
		s.sampler.Value().(*host).goOn()
	}
	return status, e
}

// clearCancel makes a session that was cancelled go on where it is.
func (s *Session) clearCancel() {
	var n C.size_t
	C.ponder_session_tokens(s.raw, nil, 0, &n, nil)
	C.ponder_session_rewind(s.raw, n, nil)
}

// SetParams sets sampling and limits of what follows.
func (s *Session) SetParams(params GenerateParams) error {
	var a arena
	defer a.free()
	raw := params.raw(&a)
	var sampler cgo.Handle
	if params.Sampler != nil {
		sampler = cgo.NewHandle(&host{function: params.Sampler})
		C.bridge_sampler(raw, C.uintptr_t(sampler))
	}
	e := s.call(func(err *C.ponder_error) C.ponder_status {
		status := C.ponder_session_set_params(s.raw, raw, err)
		if status >= 0 {
			sampler, s.sampler = s.sampler, sampler
			s.params = params
		}
		return status
	})
	if sampler != 0 { // the one before, or one that was refused
		sampler.Delete()
	}
	return e
}

//export ponderGoSample
func ponderGoSample(handle C.uintptr_t, logits *C.float, n C.size_t, outID *C.int32_t) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool {
		values := unsafe.Slice((*float32)(unsafe.Pointer(logits)), int(n))
		if id, chosen := h.function.(func([]float32) (int32, bool))(values); chosen {
			*outID = C.int32_t(id)
		}
		return true
	})
}

// Params are what is set. Fields that were 0 hold the value used.
func (s *Session) Params() (params GenerateParams, e error) {
	raw := C.ponder_generate_params_default()
	e = s.call(func(err *C.ponder_error) C.ponder_status {
		status := C.ponder_session_get_params(s.raw, &raw, err)
		if status >= 0 {
			params = paramsOf(&raw)
			params.Sampler = s.params.Sampler
		}
		return status
	})
	return params, e
}

func (s *Session) prompt(ctx context.Context, progress func(done, total int) bool, f func(handle C.uintptr_t, err *C.ponder_error) C.ponder_status) error {
	var handle C.uintptr_t
	if progress != nil {
		var done func()
		_, handle, done = newHost(progress)
		defer done()
	}
	_, e := s.compute(ctx, false, func(err *C.ponder_error) C.ponder_status {
		s.waiting = nil
		return f(handle, err)
	})
	return e
}

//export ponderGoPrefill
func ponderGoPrefill(handle C.uintptr_t, done, total C.size_t) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool { return h.function.(func(int, int) bool)(int(done), int(total)) })
}

// Prompt sets the conversation to one message of the user.
func (s *Session) Prompt(ctx context.Context, text string) error {
	data := []byte(text)
	return s.prompt(ctx, nil, func(_ C.uintptr_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_session_prompt(s.raw, bytePointer(data), C.size_t(len(data)), err)
	})
}

// PromptChat sets the conversation; what is computed already is reused. So too the following.
func (s *Session) PromptChat(ctx context.Context, chat Chat) error {
	messages, kwargs, e := chat.json()
	if e != nil {
		return e
	}
	return s.prompt(ctx, chat.Progress, func(handle C.uintptr_t, err *C.ponder_error) C.ponder_status {
		return C.bridge_prompt_chat(s.raw, bytePointer(messages), C.size_t(len(messages)), bytePointer(kwargs),
			C.size_t(len(kwargs)), chat.flags(), handle, err)
	})
}

// PromptText sets a raw prompt without a template. special: added tokens in the text become their ids.
func (s *Session) PromptText(ctx context.Context, text string, special bool, progress func(done, total int) bool) error {
	data := []byte(text)
	var flags C.uint32_t
	if special {
		flags = C.PONDER_ENCODE_SPECIAL
	}
	return s.prompt(ctx, progress, func(handle C.uintptr_t, err *C.ponder_error) C.ponder_status {
		return C.bridge_prompt_text(s.raw, bytePointer(data), C.size_t(len(data)), flags, handle, err)
	})
}

// PromptIDs sets token ids as they are.
func (s *Session) PromptIDs(ctx context.Context, ids []int32, progress func(done, total int) bool) error {
	return s.prompt(ctx, progress, func(handle C.uintptr_t, err *C.ponder_error) C.ponder_status {
		return C.bridge_prompt_ids(s.raw, idPointer(ids), C.size_t(len(ids)), handle, err)
	})
}

// AppendIDs adds ids behind what is there; all of it is the prompt of the next reply.
func (s *Session) AppendIDs(ctx context.Context, ids []int32, progress func(done, total int) bool) error {
	return s.prompt(ctx, progress, func(handle C.uintptr_t, err *C.ponder_error) C.ponder_status {
		return C.bridge_append_ids(s.raw, idPointer(ids), C.size_t(len(ids)), handle, err)
	})
}

// ChatIDs are the ids that PromptChat would use.
func (s *Session) ChatIDs(chat Chat) (ids []int32, e error) {
	messages, kwargs, e := chat.json()
	if e != nil {
		return nil, e
	}
	return s.list(func(out *C.int32_t, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_session_chat_ids(s.raw, bytePointer(messages), C.size_t(len(messages)), bytePointer(kwargs),
			C.size_t(len(kwargs)), chat.flags(), out, capacity, count, err)
	})
}

func (s *Session) list(f func(ids *C.int32_t, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status) (ids []int32, e error) {
	if !s.use.TryLock() {
		return nil, &Error{Status: WrongState, Message: "the session is in use by another call"}
	}
	defer s.use.Unlock()
	return list(f)
}

// Next gives the next token of the reply; io.EOF when it is complete. When ctx ends, the token that was under way comes with
// the next call.
func (s *Session) Next(ctx context.Context) (Event, error) {
	var event Event
	status, e := s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		if s.waiting != nil {
			event, s.waiting = *s.waiting, nil
			return C.PONDER_OK
		}
		raw := newRawEvent()
		status := C.ponder_session_next(s.raw, &raw, err)
		if status == C.PONDER_OK {
			event = eventOf(&raw)
		}
		return status
	})
	if e == nil && status == C.PONDER_END {
		e = io.EOF
	}
	return event, e
}

// Step is Next, but with pending after about the budget; call again to go on.
func (s *Session) Step(budget time.Duration) (event Event, pending bool, e error) {
	var status C.ponder_status
	e = s.call(func(err *C.ponder_error) C.ponder_status {
		raw := newRawEvent()
		status = C.ponder_session_step(s.raw, C.int64_t(budget.Microseconds()), &raw, err)
		if status == C.PONDER_OK {
			event = eventOf(&raw)
		}
		return status
	})
	if e == nil && status == C.PONDER_END {
		e = io.EOF
	}
	return event, status == C.PONDER_PENDING, e
}

// Events goes over the events of a reply: for events.Next() { events.Event() }; then events.Err().
type Events struct {
	session *Session
	ctx     context.Context
	event   Event
	err     error
}

// Events of the reply.
func (s *Session) Events(ctx context.Context) *Events { return &Events{session: s, ctx: ctx} }

// Next is false at the end of the reply, and after an error.
func (e *Events) Next() bool {
	if e.err == nil {
		e.event, e.err = e.session.Next(e.ctx)
	}
	return e.err == nil
}

// Event is the current one.
func (e *Events) Event() Event { return e.event }

// Err is what ended the reply early, or nil.
func (e *Events) Err() error {
	if errors.Is(e.err, io.EOF) {
		return nil
	}
	return e.err
}

// Stream computes the reply in a goroutine of its own. The channel is closed at the end; err is then what ended it early, or
// nil. To stop early, end ctx: the goroutine never waits for a reader longer.
func (s *Session) Stream(ctx context.Context) (events <-chan Event, err func() error) {
	channel := make(chan Event)
	var failed error
	go func() {
		defer close(channel)
		all := s.Events(ctx)
		for all.Next() {
			select {
			case channel <- all.Event():
			case <-ctx.Done():
				event := all.Event()
				s.waiting = &event
				failed = &Error{Status: Cancelled, Message: ctx.Err().Error(), cause: ctx.Err()}
				return
			}
		}
		failed = all.Err()
	}()
	return channel, func() error {
		for range channel { // until it is closed
		}
		return failed
	}
}

// Generate gives the rest of the reply. onEvent, which may be nil, may return false to stop; a later call then goes on.
func (s *Session) Generate(ctx context.Context, onEvent func(Event) bool) (Reply, error) {
	var reply Reply
	var thinking, answer strings.Builder
	stopped := false
	take := func(event Event) bool {
		reply.Tokens = append(reply.Tokens, event.ID)
		if event.Channel == Thinking {
			thinking.WriteString(event.Text)
		} else {
			answer.WriteString(event.Text)
		}
		stopped = onEvent != nil && !onEvent(event)
		return !stopped
	}
	_, handle, done := newHost(take)
	defer done()
	_, e := s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		if s.waiting != nil {
			event := *s.waiting
			s.waiting = nil
			if !take(event) {
				return C.PONDER_OK
			}
		}
		return C.bridge_generate(s.raw, handle, err)
	})
	if stopped && errors.Is(e, Cancelled) && ctx.Err() == nil {
		e = nil
	}
	reply.Thinking, reply.Answer = thinking.String(), answer.String()
	reply.Finish = s.FinishReason()
	return reply, e
}

//export ponderGoToken
func ponderGoToken(handle C.uintptr_t, event *C.ponder_token_event) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool { return h.function.(func(Event) bool)(eventOf(event)) })
}

// Ask is Prompt and Generate.
func (s *Session) Ask(ctx context.Context, text string) (Reply, error) {
	if err := s.Prompt(ctx, text); err != nil {
		return Reply{}, err
	}
	return s.Generate(ctx, nil)
}

// FinishReason says why the last reply ended.
func (s *Session) FinishReason() Finish {
	s.life.Lock()
	defer s.life.Unlock()
	return Finish(C.ponder_session_finish_reason(s.raw))
}

// NextChannel is the channel that the next token belongs to.
func (s *Session) NextChannel() Channel {
	s.life.Lock()
	defer s.life.Unlock()
	return Channel(C.ponder_session_next_channel(s.raw))
}

// Fork makes a second session with the same content, settings and random state, sharing the common prefix.
func (s *Session) Fork() (other *Session, e error) {
	e = s.call(func(err *C.ponder_error) C.ponder_status {
		other, e = newSession(s.model, func(out **C.ponder_session, _ *C.ponder_error) C.ponder_status {
			return C.ponder_session_fork(s.raw, out, err)
		})
		if e != nil {
			return C.ponder_status(e.(*Error).Status)
		}
		return C.PONDER_OK
	})
	if e == nil {
		other.params, other.adapters = s.params, s.adapters
		other.params.Sampler = nil
	}
	if e == nil && s.params.Sampler != nil { // it has s's handle
		params := s.params
		params.Sampler = nil
		e = other.SetParams(params)
	}
	if e != nil {
		return nil, e
	}
	return other, nil
}

// Rewind keeps the first nTokens tokens; decoding goes on from there, also after a cancel.
func (s *Session) Rewind(nTokens int) error {
	if nTokens < 0 {
		return invalid("a session cannot be rewound to less than no tokens")
	}
	return s.changed(func(err *C.ponder_error) C.ponder_status {
		return C.ponder_session_rewind(s.raw, C.size_t(nTokens), err)
	})
}

// changed is a call after which an event that waits is none of the session's any more.
func (s *Session) changed(f func(err *C.ponder_error) C.ponder_status) error {
	return s.call(func(err *C.ponder_error) C.ponder_status {
		status := f(err)
		if status >= 0 {
			s.waiting = nil
		}
		return status
	})
}

// Save gives the whole state, but a sampler of the host's.
func (s *Session) Save() (state []byte, e error) {
	e = s.call(func(err *C.ponder_error) C.ponder_status {
		var out *C.ponder_buffer
		status := C.ponder_session_save(s.raw, &out, err)
		if status >= 0 {
			state = take(out)
		}
		return status
	})
	return state, e
}

// SaveFile saves to a file, which is replaced when all is written.
func (s *Session) SaveFile(path string) error {
	var a arena
	defer a.free()
	name, e := a.path(path)
	if e != nil {
		return e
	}
	return s.call(func(err *C.ponder_error) C.ponder_status { return C.ponder_session_save_file(s.raw, name, err) })
}

// Restore takes over a saved state.
func (s *Session) Restore(state []byte) error {
	data := bytePointer(state)
	if data == nil {
		data = new(C.char) // no state at all is no NULL
	}
	return s.changed(func(err *C.ponder_error) C.ponder_status {
		return C.ponder_session_restore(s.raw, unsafe.Pointer(data), C.size_t(len(state)), err)
	})
}

// RestoreFile takes over a state that SaveFile wrote.
func (s *Session) RestoreFile(path string) error {
	var a arena
	defer a.free()
	name, e := a.path(path)
	if e != nil {
		return e
	}
	return s.changed(func(err *C.ponder_error) C.ponder_status { return C.ponder_session_restore_file(s.raw, name, err) })
}

// Tokens are all token ids, prompt and reply.
func (s *Session) Tokens() ([]int32, error) {
	return s.list(func(ids *C.int32_t, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_session_tokens(s.raw, ids, capacity, count, err)
	})
}

// SessionStats count tokens, bytes and time.
type SessionStats struct {
	ContextLength, NTokens, PromptTokens, ReusedTokens, ThinkingTokens, AnswerTokens, ForcedTokens int64
	KVBytes, ScratchBytes                                                                          int64
	Prefill, Decode                                                                                time.Duration
}

// Stats of the session.
func (s *Session) Stats() (SessionStats, error) {
	raw := C.ponder_session_stats{}
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	e := s.call(func(err *C.ponder_error) C.ponder_status { return C.ponder_session_get_stats(s.raw, &raw, err) })
	ms := func(value C.double) time.Duration { return time.Duration(float64(value) * float64(time.Millisecond)) }
	return SessionStats{
		ContextLength: int64(raw.context_length), NTokens: int64(raw.n_tokens), PromptTokens: int64(raw.prompt_tokens),
		ReusedTokens: int64(raw.reused_tokens), ThinkingTokens: int64(raw.thinking_tokens),
		AnswerTokens: int64(raw.answer_tokens), ForcedTokens: int64(raw.forced_tokens), KVBytes: int64(raw.kv_bytes),
		ScratchBytes: int64(raw.scratch_bytes), Prefill: ms(raw.prefill_ms), Decode: ms(raw.decode_ms),
	}, e
}

// Logits [vocab size] of the last position, before temperature and penalties.
func (s *Session) Logits(ctx context.Context) ([]float32, error) {
	out := make([]float32, s.info.VocabSize)
	_, e := s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		return C.ponder_session_logits(s.raw, floatPointer(out), C.size_t(len(out)), err)
	})
	return out, e
}

// TopLogprobs are the n likeliest next tokens, best first.
func (s *Session) TopLogprobs(ctx context.Context, n int) ([]Logprob, error) {
	if n < 0 {
		return nil, invalid("n is below 0")
	}
	raw := make([]C.ponder_logprob, n+1)
	_, e := s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		return C.ponder_session_top_logprobs(s.raw, &raw[0], C.size_t(n), err)
	})
	top := make([]Logprob, n)
	for i := range top {
		top[i] = Logprob{int32(raw[i].id), float32(raw[i].logprob)}
	}
	return top, e
}

// PromptLogprobs are log p of each token given those before it; the first is 0.
func (s *Session) PromptLogprobs(ctx context.Context) (logprobs []float32, e error) {
	_, e = s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		var n C.size_t
		C.ponder_session_tokens(s.raw, nil, 0, &n, nil)
		logprobs = make([]float32, n)
		return C.ponder_session_prompt_logprobs(s.raw, floatPointer(logprobs), n, err)
	})
	return logprobs, e
}

// Pooling of hidden states.
type Pooling int32

const (
	PoolingMean Pooling = C.PONDER_POOLING_MEAN
	PoolingLast Pooling = C.PONDER_POOLING_LAST
)

// EmbedOptions say which vectors to make.
type EmbedOptions struct {
	Pooling   Pooling // 0: mean
	Normalize bool    // each vector to length 1
	Special   bool    // texts only: added tokens in the text become their ids
}

func (s *Session) embed(ctx context.Context, n int, options EmbedOptions,
	f func(flags C.uint32_t, out *C.float, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status) ([][]float32, error) {
	var flags C.uint32_t
	if options.Normalize {
		flags |= C.PONDER_EMBED_NORMALIZE
	}
	if options.Special {
		flags |= C.PONDER_EMBED_SPECIAL
	}
	out := make([]float32, n*s.info.HiddenSize)
	var count C.size_t
	if _, e := s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		return f(flags, floatPointer(out), C.size_t(len(out)), &count, err)
	}); e != nil {
		return nil, e
	}
	vectors := make([][]float32, n)
	for i := range vectors {
		vectors[i] = out[i*s.info.HiddenSize : (i+1)*s.info.HiddenSize]
	}
	return vectors, nil
}

// EmbedTexts gives one vector per text.
func (s *Session) EmbedTexts(ctx context.Context, inputs []string, options EmbedOptions) ([][]float32, error) {
	var a arena
	defer a.free()
	raw, n := texts(&a, inputs)
	return s.embed(ctx, len(inputs), options, func(flags C.uint32_t, out *C.float, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_session_embed_texts(s.raw, raw, n, C.ponder_pooling(options.Pooling), flags, out, capacity, count, err)
	})
}

// EmbedIDs gives one vector per list of token ids.
func (s *Session) EmbedIDs(ctx context.Context, inputs [][]int32, options EmbedOptions) ([][]float32, error) {
	var ids []int32
	lengths := make([]C.size_t, len(inputs)+1)
	for i, input := range inputs {
		ids = append(ids, input...)
		lengths[i] = C.size_t(len(input))
	}
	return s.embed(ctx, len(inputs), options, func(flags C.uint32_t, out *C.float, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_session_embed_ids(s.raw, idPointer(ids), &lengths[0], C.size_t(len(inputs)),
			C.ponder_pooling(options.Pooling), flags, out, capacity, count, err)
	})
}

// Tensor is row-major; one of F32 and I32 is set.
type Tensor struct {
	Shape []int64
	F32   []float32
	I32   []int32
}

// EvaluateOptions say what to look at; "logits" come always.
type EvaluateOptions struct {
	Last, Hidden, MoE bool
	MTPNextIDs        []int32 // the token behind each position: also "mtp.logits"
}

// Evaluate makes a forward pass over ids in a cache of its own: tensors by name. Experimental.
func (s *Session) Evaluate(ctx context.Context, ids []int32, options EvaluateOptions) (map[string]Tensor, error) {
	if options.MTPNextIDs != nil && len(options.MTPNextIDs) != len(ids) {
		return nil, invalid("MTPNextIDs and ids are not of one length")
	}
	var flags C.uint32_t
	if options.Last {
		flags |= C.PONDER_EVALUATE_LAST
	}
	if options.Hidden {
		flags |= C.PONDER_EVALUATE_HIDDEN
	}
	if options.MoE {
		flags |= C.PONDER_EVALUATE_MOE
	}
	tensors := map[string]Tensor{}
	_, handle, done := newHost(tensors)
	defer done()
	_, e := s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		return C.bridge_evaluate(s.raw, idPointer(ids), C.size_t(len(ids)), idPointer(options.MTPNextIDs), flags, handle, err)
	})
	return tensors, e
}

//export ponderGoTensor
func ponderGoTensor(handle C.uintptr_t, name *C.char, dtype C.int32_t, data unsafe.Pointer, shape *C.int64_t, nDims C.int32_t) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool {
		tensor, n := Tensor{}, int64(1)
		for _, size := range unsafe.Slice(shape, int(nDims)) {
			tensor.Shape = append(tensor.Shape, int64(size))
			n *= int64(size)
		}
		if dtype == C.PONDER_DTYPE_I32 {
			tensor.I32 = append([]int32{}, unsafe.Slice((*int32)(data), int(n))...)
		} else {
			tensor.F32 = append([]float32{}, unsafe.Slice((*float32)(data), int(n))...)
		}
		h.function.(map[string]Tensor)[C.GoString(name)] = tensor
		return true
	})
}
