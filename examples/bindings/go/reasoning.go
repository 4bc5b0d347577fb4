package ponder

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"encoding/json"
	"unsafe"
)

// Effort is how much a reply may think.
type Effort int32

const (
	EffortDefault Effort = C.PONDER_EFFORT_DEFAULT // no limit but the fields'
	EffortNone    Effort = C.PONDER_EFFORT_NONE    // the answer begins at once
	EffortLow     Effort = C.PONDER_EFFORT_LOW
	EffortMedium  Effort = C.PONDER_EFFORT_MEDIUM
	EffortHigh    Effort = C.PONDER_EFFORT_HIGH
)

// EarlyExit is what ends thinking when the answer has settled.
type EarlyExit int32

const (
	EarlyExitDefault    EarlyExit = C.PONDER_EARLY_EXIT_DEFAULT // by effort, else off
	EarlyExitOff        EarlyExit = C.PONDER_EARLY_EXIT_OFF
	EarlyExitProbe      EarlyExit = C.PONDER_EARLY_EXIT_PROBE
	EarlyExitConfidence EarlyExit = C.PONDER_EARLY_EXIT_CONFIDENCE
)

// ReasoningParams are the controller of thinking and answer. Zero in every field is the default; ponder.h says what each is.
type ReasoningParams struct {
	Effort                                                             Effort
	Grace                                                              int
	TurnBudget, BlockBudget, AnswerReserve, MinTokens, MaxWaits        int64
	WaitText, Message                                                  string // "": the default
	EarlyExit                                                          EarlyExit
	Confidence                                                         float32
	ProbeEvery, ProbeAgree, ProbeTokens, ProbeMax                      int
	ProbeText                                                          string // "": the default
	NoLoopDetection                                                    bool
}

// SetReasoning turns the controller on for what follows; nil turns it off.
func (s *Session) SetReasoning(params *ReasoningParams) error {
	if params == nil {
		return s.call(func(err *C.ponder_error) C.ponder_status { return C.ponder_session_set_reasoning(s.raw, nil, err) })
	}
	var a arena
	defer a.free()
	raw := (*C.ponder_reasoning_params)(a.alloc(1, unsafe.Sizeof(C.ponder_reasoning_params{})))
	*raw = C.ponder_reasoning_params_default()
	raw.effort = C.ponder_effort(params.Effort)
	raw.grace = C.int32_t(params.Grace)
	raw.turn_budget = C.int64_t(params.TurnBudget)
	raw.block_budget = C.int64_t(params.BlockBudget)
	raw.answer_reserve = C.int64_t(params.AnswerReserve)
	raw.min_tokens = C.int64_t(params.MinTokens)
	raw.max_waits = C.int64_t(params.MaxWaits)
	raw.early_exit = C.ponder_early_exit(params.EarlyExit)
	raw.confidence = C.float(params.Confidence)
	raw.probe_every = C.int32_t(params.ProbeEvery)
	raw.probe_agree = C.int32_t(params.ProbeAgree)
	raw.probe_tokens = C.int32_t(params.ProbeTokens)
	raw.probe_max = C.int32_t(params.ProbeMax)
	if params.NoLoopDetection {
		raw.flags |= C.PONDER_REASONING_NO_LOOP_DETECTION
	}
	for _, text := range []struct {
		from string
		to   **C.char
	}{{params.WaitText, &raw.wait_text}, {params.Message, &raw.message}, {params.ProbeText, &raw.probe_text}} {
		if text.from == "" {
			continue
		}
		to, e := a.path(text.from)
		if e != nil {
			return e
		}
		*text.to = to
	}
	return s.call(func(err *C.ponder_error) C.ponder_status { return C.ponder_session_set_reasoning(s.raw, raw, err) })
}

// StopThinking, from any goroutine: the thinking of the running reply is closed at the next end of a line, and it answers.
func (s *Session) StopThinking() {
	s.life.Lock()
	defer s.life.Unlock()
	C.ponder_session_stop_thinking(s.raw)
}

// AnswerPlace is where the answer stands in a reply.
type AnswerPlace int32

const (
	AnswerBoxed         AnswerPlace = C.PONDER_ANSWER_BOXED
	AnswerBoxedOrNumber AnswerPlace = C.PONDER_ANSWER_BOXED_OR_NUMBER
	AnswerTag           AnswerPlace = C.PONDER_ANSWER_TAG
)

// SamplesParams are how many replies Vote and BestOf look at. Zero in every field is the default.
type SamplesParams struct {
	N, NParallel  int
	Place         AnswerPlace
	Weighted, All bool
	Threshold     float64
}

// Sample is one reply.
type Sample struct {
	Index            int64    `json:"index"` // its seed is the session's plus this
	Thinking         string   `json:"thinking"`
	Answer           string   `json:"answer"`
	Extracted        *string  `json:"extracted"` // nil: it has no answer where one was looked for
	Group            *int     `json:"group"`
	Score            *float64 `json:"score"`
	MeanLogprob      float64  `json:"mean_logprob"`
	ThinkingTokens   int64    `json:"thinking_tokens"`
	AnswerTokens     int64    `json:"answer_tokens"`
	FinishReason     string   `json:"finish_reason"`
	ThinkEnd         string   `json:"think_end"`
}

// Samples are the replies that came to an end. The session holds the best one.
type Samples struct {
	Best     int `json:"best"`
	NStarted int `json:"n_started"`
	Groups   []struct {
		Answer string  `json:"answer"`
		Weight float64 `json:"weight"`
		N      int     `json:"n"`
	} `json:"groups"`
	Samples []Sample `json:"samples"`
}

func (p SamplesParams) raw() C.ponder_samples_params {
	raw := C.ponder_samples_params_default()
	raw.n = C.int32_t(p.N)
	raw.n_parallel = C.int32_t(p.NParallel)
	raw.place = C.ponder_answer_place(p.Place)
	raw.threshold = C.double(p.Threshold)
	if p.Weighted {
		raw.flags |= C.PONDER_SAMPLES_WEIGHTED
	}
	if p.All {
		raw.flags |= C.PONDER_SAMPLES_ALL
	}
	return raw
}

// Vote samples several replies to the prompt and takes the answer that most of them give.
func (s *Session) Vote(ctx context.Context, params SamplesParams) (samples Samples, e error) {
	raw := params.raw()
	var out *C.ponder_buffer
	if _, e = s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		return C.ponder_session_vote(s.raw, &raw, &out, err)
	}); e != nil {
		return
	}
	return samples, json.Unmarshal(take(out), &samples)
}

// BestOf samples several replies to the prompt and takes the one with the greatest score; NaN is none.
func (s *Session) BestOf(ctx context.Context, params SamplesParams, verifier func(Sample) float64) (samples Samples, e error) {
	raw := params.raw()
	_, handle, done := newHost(verifier)
	defer done()
	var out *C.ponder_buffer
	if _, e = s.compute(ctx, true, func(err *C.ponder_error) C.ponder_status {
		return C.bridge_best_of(s.raw, &raw, handle, &out, err)
	}); e != nil {
		return
	}
	return samples, json.Unmarshal(take(out), &samples)
}

//export ponderGoVerify
func ponderGoVerify(handle C.uintptr_t, raw *C.ponder_sample, outScore *C.double) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool {
		text := func(t C.ponder_text) string { return C.GoStringN(t.data, C.int(t.size)) }
		sample := Sample{
			Index: int64(raw.index), Thinking: text(raw.thinking), Answer: text(raw.answer), MeanLogprob: float64(raw.mean_logprob),
			FinishReason: Finish(raw.finish).String(),
		}
		if raw.extracted.data != nil {
			extracted := text(raw.extracted)
			sample.Extracted = &extracted
		}
		*outScore = C.double(h.function.(func(Sample) float64)(sample))
		return true
	})
}
