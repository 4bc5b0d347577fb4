package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import "unsafe"

// Compute mode.
type Compute int32

const (
	ComputeDefault Compute = C.PONDER_COMPUTE_DEFAULT // fast
	ComputeExact   Compute = C.PONDER_COMPUTE_EXACT   // the same bits for any threads, chunks and batches
	ComputeFast    Compute = C.PONDER_COMPUTE_FAST
)

// KVType of a cache.
type KVType int32

const (
	KVDefault KVType = C.PONDER_KV_DEFAULT // f32 in exact compute, f16 in fast
	KVF32     KVType = C.PONDER_KV_F32
	KVF16     KVType = C.PONDER_KV_F16
	KVBF16    KVType = C.PONDER_KV_BF16
	KVQ8      KVType = C.PONDER_KV_Q8_0
	KVFP8     KVType = C.PONDER_KV_FP8
)

// SessionParams: zero means the default everywhere.
type SessionParams struct {
	ContextLength int64 // tokens; 0: min(the model's maximum, 4096)
	Threads       int   // 0: all of the runtime's
	PrefillChunk  int   // tokens per forward pass; 0: 256
	Compute       Compute
	KVType        KVType
	DeferPrefill  bool // prompts only set the tokens; Next and Step compute them

	PromptCache          string // a folder for computed prompts, which any session finds again; "": none
	PromptCacheBytes     int64  // 0: 4 GiB
	PromptCacheMinTokens int    // 0: 256
}

// raw is the struct, with strings in a's memory.
func (p *SessionParams) raw(a *arena) (C.ponder_session_params, error) {
	raw := C.ponder_session_params_default()
	raw.context_length = C.int64_t(p.ContextLength)
	raw.n_threads = C.int32_t(p.Threads)
	raw.prefill_chunk = C.int32_t(p.PrefillChunk)
	raw.compute = C.ponder_compute(p.Compute)
	raw.kv_type = C.ponder_kv_type(p.KVType)
	if p.DeferPrefill {
		raw.flags = C.PONDER_SESSION_DEFER_PREFILL
	}
	raw.prompt_cache_bytes = C.int64_t(p.PromptCacheBytes)
	raw.prompt_cache_min_tokens = C.int32_t(p.PromptCacheMinTokens)
	var err error
	raw.prompt_cache, err = a.path(p.PromptCache)
	return raw, err
}

// Channel of a token.
type Channel int32

const (
	Answer   Channel = C.PONDER_CHANNEL_ANSWER
	Thinking Channel = C.PONDER_CHANNEL_THINKING
)

func (c Channel) String() string {
	if c == Thinking {
		return "thinking"
	}
	return "answer"
}

// Finish is why a reply ended.
type Finish int32

const (
	FinishNone      Finish = C.PONDER_FINISH_NONE // it goes on
	FinishStop      Finish = C.PONDER_FINISH_STOP
	FinishLength    Finish = C.PONDER_FINISH_LENGTH
	FinishLoop      Finish = C.PONDER_FINISH_LOOP
	FinishCancelled Finish = C.PONDER_FINISH_CANCELLED
	FinishError     Finish = C.PONDER_FINISH_ERROR
)

func (f Finish) String() string {
	names := [...]string{"none", "stop", "length", "loop", "cancelled", "error"}
	if f < 0 || int(f) >= len(names) {
		return "unknown"
	}
	return names[f]
}

// Logprob of a token.
type Logprob struct {
	ID      int32
	Logprob float32
}

// Event is one token of a reply.
type Event struct {
	ID          int32
	Text        string // whole characters, possibly none; <think> and </think> have none
	Channel     Channel
	Forced      bool // not sampled: ThinkBudget
	Logprob     float32
	TopLogprobs []Logprob
}

func newRawEvent() C.ponder_token_event {
	raw := C.ponder_token_event{}
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	return raw
}

func eventOf(raw *C.ponder_token_event) Event {
	event := Event{
		ID: int32(raw.id), Text: C.GoStringN(raw.text, C.int(raw.text_len)), Channel: Channel(raw.channel),
		Forced: raw.forced != 0, Logprob: float32(raw.logprob),
	}
	if raw.n_top_logprobs > 0 {
		for _, one := range unsafe.Slice(raw.top_logprobs, int(raw.n_top_logprobs)) {
			event.TopLogprobs = append(event.TopLogprobs, Logprob{int32(one.id), float32(one.logprob)})
		}
	}
	return event
}

// Reply is a whole one.
type Reply struct {
	Thinking, Answer string
	Finish           Finish
	Tokens           []int32
}

// ThinkNone as a ThinkBudget: the answer begins at once.
const ThinkNone = C.PONDER_THINK_NONE

// GenerateParams say how to sample and when to stop. Zero in every field: greedy until the model ends its reply. ponder.h
// says what each is.
type GenerateParams struct {
	MaxNewTokens, ThinkBudget, ContextKeep               int64
	Seed                                                 uint64
	Temperature                                          float32
	TopK                                                 int
	TopP, MinP, TypicalP, TopNSigma                      float32
	XTCProbability, XTCThreshold                         float32
	Mirostat                                             int
	MirostatTau, MirostatEta                             float32
	RepetitionPenalty, PresencePenalty, FrequencyPenalty float32
	PenaltyLastN                                         int
	DRYMultiplier, DRYBase                               float32
	DRYAllowedLength, DRYLastN                           int
	NTopLogprobs                                         int
	IgnoreEOS, ContextShift                              bool
	LogitBias                                            map[int32]float32
	Stop                                                 []string
	StopIDs                                              []int32
	// Sampler, which may be nil, sees the logits, may change them, and may choose an id; another sampler goes on else. It is
	// not part of a saved session, and forks have none.
	Sampler func(logits []float32) (id int32, chosen bool)
}

// R1Params are the published settings of R1.
func R1Params() GenerateParams { return GenerateParams{Temperature: 0.6, TopP: 0.95} }

// raw is the struct in a's memory.
func (p *GenerateParams) raw(a *arena) *C.ponder_generate_params {
	raw := (*C.ponder_generate_params)(a.alloc(1, unsafe.Sizeof(C.ponder_generate_params{})))
	*raw = C.ponder_generate_params_default()
	raw.max_new_tokens = C.int64_t(p.MaxNewTokens)
	raw.think_budget = C.int64_t(p.ThinkBudget)
	raw.context_keep = C.int64_t(p.ContextKeep)
	raw.seed = C.uint64_t(p.Seed)
	raw.temperature = C.float(p.Temperature)
	raw.top_k = C.int32_t(p.TopK)
	raw.top_p = C.float(p.TopP)
	raw.min_p = C.float(p.MinP)
	raw.typical_p = C.float(p.TypicalP)
	raw.top_n_sigma = C.float(p.TopNSigma)
	raw.xtc_probability = C.float(p.XTCProbability)
	raw.xtc_threshold = C.float(p.XTCThreshold)
	raw.mirostat = C.int32_t(p.Mirostat)
	raw.mirostat_tau = C.float(p.MirostatTau)
	raw.mirostat_eta = C.float(p.MirostatEta)
	raw.repetition_penalty = C.float(p.RepetitionPenalty)
	raw.presence_penalty = C.float(p.PresencePenalty)
	raw.frequency_penalty = C.float(p.FrequencyPenalty)
	raw.penalty_last_n = C.int32_t(p.PenaltyLastN)
	raw.dry_multiplier = C.float(p.DRYMultiplier)
	raw.dry_base = C.float(p.DRYBase)
	raw.dry_allowed_length = C.int32_t(p.DRYAllowedLength)
	raw.dry_last_n = C.int32_t(p.DRYLastN)
	raw.n_top_logprobs = C.int32_t(p.NTopLogprobs)
	if p.IgnoreEOS {
		raw.flags |= C.PONDER_GENERATE_IGNORE_EOS
	}
	if p.ContextShift {
		raw.flags |= C.PONDER_GENERATE_CONTEXT_SHIFT
	}
	raw.logit_bias = (*C.ponder_logit_bias)(a.alloc(len(p.LogitBias), unsafe.Sizeof(C.ponder_logit_bias{})))
	raw.n_logit_bias = C.size_t(len(p.LogitBias))
	bias, i := unsafe.Slice(raw.logit_bias, len(p.LogitBias)+1), 0
	for id, value := range p.LogitBias {
		bias[i] = C.ponder_logit_bias{id: C.int32_t(id), bias: C.float(value)}
		i++
	}
	raw.stop, raw.n_stop = texts(a, p.Stop)
	raw.stop_ids = (*C.int32_t)(a.alloc(len(p.StopIDs), 4))
	raw.n_stop_ids = C.size_t(len(p.StopIDs))
	for i, id := range p.StopIDs {
		unsafe.Slice(raw.stop_ids, len(p.StopIDs))[i] = C.int32_t(id)
	}
	return raw
}

// texts are the structs of strings, in a's memory.
func texts(a *arena, list []string) (*C.ponder_text, C.size_t) {
	raw := (*C.ponder_text)(a.alloc(len(list), unsafe.Sizeof(C.ponder_text{})))
	for i, text := range list {
		unsafe.Slice(raw, len(list))[i] = C.ponder_text{data: (*C.char)(a.bytes([]byte(text))), size: C.size_t(len(text))}
	}
	return raw, C.size_t(len(list))
}

func paramsOf(raw *C.ponder_generate_params) GenerateParams {
	p := GenerateParams{
		MaxNewTokens: int64(raw.max_new_tokens), ThinkBudget: int64(raw.think_budget), ContextKeep: int64(raw.context_keep),
		Seed: uint64(raw.seed), Temperature: float32(raw.temperature), TopK: int(raw.top_k), TopP: float32(raw.top_p),
		MinP: float32(raw.min_p), TypicalP: float32(raw.typical_p), TopNSigma: float32(raw.top_n_sigma),
		XTCProbability: float32(raw.xtc_probability), XTCThreshold: float32(raw.xtc_threshold), Mirostat: int(raw.mirostat),
		MirostatTau: float32(raw.mirostat_tau), MirostatEta: float32(raw.mirostat_eta),
		RepetitionPenalty: float32(raw.repetition_penalty), PresencePenalty: float32(raw.presence_penalty),
		FrequencyPenalty: float32(raw.frequency_penalty), PenaltyLastN: int(raw.penalty_last_n),
		DRYMultiplier: float32(raw.dry_multiplier), DRYBase: float32(raw.dry_base),
		DRYAllowedLength: int(raw.dry_allowed_length), DRYLastN: int(raw.dry_last_n), NTopLogprobs: int(raw.n_top_logprobs),
		IgnoreEOS:    raw.flags&C.PONDER_GENERATE_IGNORE_EOS != 0,
		ContextShift: raw.flags&C.PONDER_GENERATE_CONTEXT_SHIFT != 0,
	}
	if raw.n_logit_bias > 0 {
		p.LogitBias = map[int32]float32{}
		for _, one := range unsafe.Slice(raw.logit_bias, int(raw.n_logit_bias)) {
			p.LogitBias[int32(one.id)] = float32(one.bias)
		}
	}
	if raw.n_stop > 0 {
		for _, text := range unsafe.Slice(raw.stop, int(raw.n_stop)) {
			p.Stop = append(p.Stop, C.GoStringN(text.data, C.int(text.size)))
		}
	}
	if raw.n_stop_ids > 0 {
		for _, id := range unsafe.Slice(raw.stop_ids, int(raw.n_stop_ids)) {
			p.StopIDs = append(p.StopIDs, int32(id))
		}
	}
	return p
}
