package ponder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"ponder"
)

type object = map[string]any

var background = context.Background()

// run holds the objects of one case.
type run struct {
	root, temporary string
	runtime         *ponder.Runtime
	model           *ponder.Model
	sessions        map[string]*ponder.Session
	states          map[string][]byte
	adapters        map[string]*ponder.Adapter
	got             object
}

// step is one of a case, with its members by type.
type step object

func (s step) has(key string) bool      { _, ok := s[key]; return ok }
func (s step) text(key string) string   { text, _ := s[key].(string); return text }
func (s step) flag(key string) bool     { flag, _ := s[key].(bool); return flag }
func (s step) number(key string) string { number, _ := s[key].(json.Number); return number.String() }
func (s step) int(key string) int64 {
	value, _ := strconv.ParseInt(s.number(key), 10, 64)
	return value
}
func (s step) uint(key string) uint64 {
	value, _ := strconv.ParseUint(s.number(key), 10, 64)
	return value
}
func (s step) float(key string) float32 {
	value, _ := strconv.ParseFloat(s.number(key), 32)
	return float32(value)
}
func (s step) texts(key string) (texts []string) {
	list, _ := s[key].([]any)
	for _, one := range list {
		texts = append(texts, one.(string))
	}
	return texts
}

func ids(value any) (ids []int32) {
	list, _ := value.([]any)
	for _, one := range list {
		id, _ := one.(json.Number).Int64()
		ids = append(ids, int32(id))
	}
	return ids
}

func eventJSON(event ponder.Event) any {
	return []any{event.ID, event.Channel.String(), event.Forced, event.Text}
}

func sessionParams(s step) ponder.SessionParams {
	types := map[string]ponder.KVType{"f32": ponder.KVF32, "f16": ponder.KVF16, "bf16": ponder.KVBF16,
		"q8_0": ponder.KVQ8, "fp8": ponder.KVFP8}
	return ponder.SessionParams{PromptCacheMinTokens: int(s.int("prompt_cache_min_tokens")), ContextLength: s.int("context_length"), PrefillChunk: int(s.int("prefill_chunk")),
		Threads: int(s.int("threads")), DeferPrefill: s.flag("defer_prefill"), Compute: ponder.ComputeExact,
		KVType: types[s.text("kv_type")]}
}

func generateParams(s step) ponder.GenerateParams {
	bias := map[int32]float32{}
	list, _ := s["logit_bias"].([]any)
	for _, one := range list {
		value, _ := one.([]any)[1].(json.Number).Float64()
		bias[ids(one)[0]] = float32(value)
	}
	return ponder.GenerateParams{
		MaxNewTokens: s.int("max_new_tokens"), ThinkBudget: s.int("think_budget"), ContextKeep: s.int("context_keep"),
		Seed: s.uint("seed"), Temperature: s.float("temperature"), TopK: int(s.int("top_k")), TopP: s.float("top_p"),
		MinP: s.float("min_p"), TypicalP: s.float("typical_p"), TopNSigma: s.float("top_n_sigma"),
		XTCProbability: s.float("xtc_probability"), XTCThreshold: s.float("xtc_threshold"), Mirostat: int(s.int("mirostat")),
		MirostatTau: s.float("mirostat_tau"), MirostatEta: s.float("mirostat_eta"),
		RepetitionPenalty: s.float("repetition_penalty"), PresencePenalty: s.float("presence_penalty"),
		FrequencyPenalty: s.float("frequency_penalty"), PenaltyLastN: int(s.int("penalty_last_n")),
		DRYMultiplier: s.float("dry_multiplier"), DRYBase: s.float("dry_base"),
		DRYAllowedLength: int(s.int("dry_allowed_length")), DRYLastN: int(s.int("dry_last_n")),
		NTopLogprobs: int(s.int("n_top_logprobs")), IgnoreEOS: s.flag("ignore_eos"), ContextShift: s.flag("context_shift"),
		LogitBias: bias, Stop: s.texts("stop"), StopIDs: ids(s["stop_ids"]),
	}
}

func (r *run) tellParams(p ponder.GenerateParams) {
	bias := []any{}
	for _, id := range []int32{55, 50} { // a map has no order; these are the cases'
		if value, ok := p.LogitBias[id]; ok {
			bias = append(bias, []any{id, value})
		}
	}
	r.got = object{"max_new_tokens": p.MaxNewTokens, "think_budget": p.ThinkBudget, "context_keep": p.ContextKeep,
		"seed": p.Seed, "temperature": p.Temperature, "top_k": p.TopK, "top_p": p.TopP, "min_p": p.MinP,
		"typical_p": p.TypicalP, "top_n_sigma": p.TopNSigma, "xtc_probability": p.XTCProbability,
		"xtc_threshold": p.XTCThreshold, "mirostat": p.Mirostat, "mirostat_tau": p.MirostatTau,
		"mirostat_eta": p.MirostatEta, "repetition_penalty": p.RepetitionPenalty, "presence_penalty": p.PresencePenalty,
		"frequency_penalty": p.FrequencyPenalty, "penalty_last_n": p.PenaltyLastN, "dry_multiplier": p.DRYMultiplier,
		"dry_base": p.DRYBase, "dry_allowed_length": p.DRYAllowedLength, "dry_last_n": p.DRYLastN,
		"n_top_logprobs": p.NTopLogprobs, "ignore_eos": p.IgnoreEOS, "context_shift": p.ContextShift,
		"logit_bias": bias, "stop": append([]string{}, p.Stop...), "stop_ids": append([]int32{}, p.StopIDs...)}
}

func chat(s step) ponder.Chat {
	kwargs, _ := s["kwargs"].(object)
	opens, given := s["generation_prompt"].(bool)
	return ponder.Chat{Messages: s["messages"], Kwargs: kwargs, NoGenerationPrompt: given && !opens,
		TrustContent: s.flag("trust_content")}
}

func (r *run) path(text string) string {
	return strings.NewReplacer("$TINY", r.root+"/examples/models/ponder-tiny-r1", "$DATA", r.root+"/tests/data",
		"$ADAPTER",
		r.root+"/examples/bindings/conformance/adapter", "$TEMP", r.temporary).Replace(text)
}

func (r *run) do(s step) object {
	r.got = object{}
	status := "ok"
	err := r.call(s)
	var failed *ponder.Error
	switch {
	case errors.Is(err, io.EOF):
		status = "end"
	case errors.As(err, &failed):
		status = failed.Status.Error()
		r.got["message"] = strings.NewReplacer(r.root, "$REPOSITORY", r.temporary, "$TEMP").Replace(failed.Message)
	case err != nil:
		status = "not an error of the library: " + err.Error()
	}
	r.got["status"] = status
	return r.got
}

func (r *run) loaded(model *ponder.Model, err error) error {
	if err != nil {
		return err
	}
	r.model = model
	info, err := model.Info()
	if err != nil {
		return err
	}
	report, err := model.LoadReport()
	r.got = object{"vocab_size": info.VocabSize, "hidden_size": info.HiddenSize, "num_hidden_layers": info.NumHiddenLayers,
		"n_parameters": info.NParameters, "has_tokenizer": info.HasTokenizer, "has_chat_template": info.HasChatTemplate,
		"has_mtp": info.HasMTP, "fingerprint": strconv.FormatUint(info.Fingerprint, 10), "warnings": len(report)}
	return err
}

func (r *run) member(report []byte, err error, name string) error {
	if err != nil {
		return err
	}
	var members object
	err = json.Unmarshal(report, &members)
	r.got[name] = members[name]
	return err
}

func (r *run) call(s step) error {
	name := s.text("session")
	if name == "" {
		name = "a"
	}
	session := r.sessions[name]
	switch s.text("do") {
	case "session":
		params := sessionParams(s)
		params.PromptCache = r.path(s.text("prompt_cache"))
		made, err := r.model.NewSession(params)
		if err == nil {
			r.sessions[name] = made
		}
		return err
	case "params":
		return session.SetParams(generateParams(s))
	case "get_params":
		params, err := session.Params()
		if err == nil {
			r.tellParams(params)
		}
		return err
	case "prompt":
		return session.Prompt(background, s.text("text"))
	case "prompt_chat":
		return session.PromptChat(background, chat(s))
	case "chat_ids":
		return r.tell("ids")(session.ChatIDs(chat(s)))
	case "prompt_text":
		return session.PromptText(background, s.text("text"), s.flag("special"), nil)
	case "prompt_ids":
		return session.PromptIDs(background, ids(s["ids"]), nil)
	case "append_ids":
		return session.AppendIDs(background, ids(s["ids"]), nil)
	case "next":
		events := []any{}
		var err error
		for i := int64(0); i < s.int("count") && err == nil; i++ {
			var event ponder.Event
			if event, err = session.Next(background); err == nil {
				events = append(events, eventJSON(event))
			}
		}
		r.got = object{"events": events, "finish": session.FinishReason().String()}
		return err
	case "step":
		list := []int32{}
		for {
			event, pending, err := session.Step(time.Duration(s.int("budget_us")) * time.Microsecond)
			if err != nil {
				r.got["ids"] = list
				return err
			}
			if !pending {
				list = append(list, event.ID)
			}
		}
	case "generate":
		seen := int64(0)
		reply, err := session.Generate(background, func(ponder.Event) bool { seen++; return seen != s.int("stop_after") })
		if err == nil {
			r.got = object{"ids": reply.Tokens, "thinking": reply.Thinking, "answer": reply.Answer, "finish": reply.Finish.String()}
		}
		return err
	case "next_batch":
		sessions := []*ponder.Session{}
		for _, name := range s.texts("sessions") {
			sessions = append(sessions, r.sessions[name])
		}
		events, failed, err := ponder.NextBatch(background, sessions)
		told := []any{}
		for i := range events {
			var one *ponder.Error
			if errors.As(failed[i], &one) {
				told = append(told, one.Status.Error())
			} else if failed[i] != nil {
				told = append(told, "end")
			} else {
				told = append(told, eventJSON(events[i]))
			}
		}
		r.got["events"] = told
		return err
	case "batch":
		batch, err := r.model.NewBatch(ponder.BatchOptions{TokenBudget: int(s.int("token_budget"))})
		if err != nil {
			return err
		}
		defer batch.Close()
		names, told := map[*ponder.Session]string{}, map[string][]int32{}
		for _, name := range s.texts("sessions") {
			names[r.sessions[name]] = name
			if err := batch.Add(r.sessions[name], 0); err != nil {
				return err
			}
		}
		if err := batch.Run(background, func(event ponder.BatchEvent) bool {
			if event.Err == nil {
				told[names[event.Session]] = append(told[names[event.Session]], event.Event.ID)
			}
			return true
		}); err != nil {
			return err
		}
		for name, ids := range told {
			r.got[name] = ids
		}
		return io.EOF
	case "cancel":
		session.Cancel()
	case "next_channel":
		r.got["channel"] = session.NextChannel().String()
	case "fork":
		other, err := session.Fork()
		r.sessions[s.text("as")] = other
		return err
	case "set_adapters":
		uses := []ponder.AdapterUse{}
		for _, name := range s.texts("adapters") {
			uses = append(uses, ponder.AdapterUse{Adapter: r.adapters[name], Scale: s.float("scale")})
		}
		return session.SetAdapters(uses...)
	case "rewind":
		return session.Rewind(int(s.int("n")))
	case "save":
		state, err := session.Save()
		r.states[s.text("as")] = state
		return err
	case "save_file":
		return session.SaveFile(r.path(s.text("path")))
	case "restore":
		state := r.states[s.text("state")]
		if s.has("bytes") {
			state = state[:s.int("bytes")]
		}
		return session.Restore(state)
	case "restore_file":
		return session.RestoreFile(r.path(s.text("path")))
	case "tokens":
		return r.tell("ids")(session.Tokens())
	case "stats":
		stats, err := session.Stats()
		r.got = object{"context_length": stats.ContextLength, "n_tokens": stats.NTokens, "prompt_tokens": stats.PromptTokens,
			"reused_tokens": stats.ReusedTokens, "thinking_tokens": stats.ThinkingTokens, "answer_tokens": stats.AnswerTokens,
			"forced_tokens": stats.ForcedTokens}
		return err
	case "logits":
		logits, err := session.Logits(background)
		if err == nil {
			r.got = object{"size": len(logits), "first": logits[:8]}
		}
		return err
	case "top_logprobs":
		top, err := session.TopLogprobs(background, int(s.int("n")))
		told := []any{}
		for _, one := range top {
			told = append(told, []any{one.ID, one.Logprob})
		}
		if err == nil {
			r.got["top"] = told
		}
		return err
	case "prompt_logprobs":
		logprobs, err := session.PromptLogprobs(background)
		r.got["logprobs"] = logprobs
		return err
	case "embed":
		options := ponder.EmbedOptions{Normalize: s.flag("normalize")}
		options.Pooling = map[string]ponder.Pooling{"last": ponder.PoolingLast, "mean": ponder.PoolingMean}[s.text("pooling")]
		var vectors [][]float32
		var err error
		if s.has("texts") {
			vectors, err = session.EmbedTexts(background, s.texts("texts"), options)
		} else {
			inputs := [][]int32{}
			for _, one := range s["inputs"].([]any) {
				inputs = append(inputs, ids(one))
			}
			vectors, err = session.EmbedIDs(background, inputs, options)
		}
		if err != nil {
			return err
		}
		rows := [][]float32{}
		for _, vector := range vectors {
			rows = append(rows, vector[:4])
		}
		r.got = object{"hidden_size": len(vectors[0]), "rows": rows}
	case "evaluate":
		options := ponder.EvaluateOptions{Last: s.flag("last"), Hidden: s.flag("hidden"), MoE: s.flag("moe"),
			MTPNextIDs: ids(s["mtp_next_ids"])}
		tensors, err := session.Evaluate(background, ids(s["ids"]), options)
		if err != nil {
			return err
		}
		shapes := object{}
		for name, tensor := range tensors {
			shapes[name] = tensor.Shape
		}
		r.got["shapes"] = shapes
	default:
		return r.callOnModel(s)
	}
	return nil
}

// tell gives a function for a call with a value and an error.
func (r *run) tell(name string) func(value []int32, err error) error {
	return func(value []int32, err error) error {
		if err == nil {
			r.got[name] = value
		}
		return err
	}
}

func (r *run) tellTokenizer(tokenizer *ponder.Tokenizer) error {
	info, err := tokenizer.Info()
	r.got = object{"n_ids": info.NIDs, "bos_token_id": info.BOSTokenID, "eos_token_id": info.EOSTokenID,
		"think_start_id": info.ThinkStartID, "think_end_id": info.ThinkEndID, "adds_bos": info.AddsBOS}
	return err
}

func (r *run) callOnModel(s step) error {
	options := &ponder.LoadOptions{Runtime: r.runtime, WeightType: s.text("weight_type")}
	if mtp, given := s["mtp"].(bool); given {
		options.NoMTP = !mtp
	}
	if s.flag("progress_stops") {
		options.Progress = func(float32) bool { return false }
	}
	switch s.text("do") {
	case "copy":
		from, to := r.path(s.text("from")), r.path(s.text("to"))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		entries, err := os.ReadDir(from)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			data, err := os.ReadFile(filepath.Join(from, entry.Name()))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(to, entry.Name()), data, 0o644); err != nil {
				return err
			}
		}
		return os.Truncate(filepath.Join(to, s.text("file")), s.int("bytes"))
	case "load":
		return r.loaded(ponder.Load(r.path(s.text("path")), options))
	case "load_memory":
		contents := map[string][]byte{}
		for _, name := range s.texts("files") {
			data, err := os.ReadFile(filepath.Join(r.path(s.text("path")), name))
			if err != nil {
				return err
			}
			contents[name] = data
		}
		return r.loaded(ponder.LoadMemory(contents, options))
	case "adapter":
		adapter, err := r.model.LoadAdapter(r.path(s.text("path")))
		if err != nil {
			return err
		}
		r.adapters[s.text("as")] = adapter
		info, err := adapter.Info()
		r.got = object{"max_rank": info.MaxRank, "n_weights": info.NWeights, "n_parameters": info.NParameters,
			"fingerprint": strconv.FormatUint(info.Fingerprint, 10)}
		return err
	case "random":
		config, err := os.ReadFile(r.path(s.text("config")))
		if err != nil {
			return err
		}
		return r.loaded(ponder.Random(r.runtime, config, s.text("dtype"), 0, s.uint("seed")))
	case "plan":
		plan, err := r.model.Plan(sessionParams(s))
		if err == nil {
			r.got = object{"context_length": plan.ContextLength, "weight_bytes": plan.WeightBytes, "kv_bytes": plan.KVBytes}
		}
		return err
	case "generate_params":
		params, err := r.model.GenerateParams()
		r.tellParams(params)
		return err
	case "eos_ids":
		return r.tell("ids")(r.model.EOSIDs())
	case "inspect":
		report, err := ponder.Inspect(r.path(s.text("path")), ponder.SessionParams{}, nil)
		return r.member(report, err, "architecture")
	case "resolve":
		path, err := ponder.Resolve(r.path(s.text("name")))
		r.got["path"] = strings.ReplaceAll(path, r.root, "$REPOSITORY")
		return err
	case "quantize":
		report, err := ponder.Quantize(r.path(s.text("path")), r.path(s.text("to")),
			&ponder.QuantizeOptions{Runtime: r.runtime, Type: s.text("type")})
		return r.member(report, err, "n_tensors")
	case "imatrix":
		report, err := r.model.Imatrix(s.text("text"), r.path(s.text("to")),
			&ponder.ImatrixOptions{ChunkTokens: int(s.int("chunk_tokens"))})
		return r.member(report, err, "n_chunks")
	case "runtime":
		runtime, err := ponder.NewRuntime(ponder.RuntimeOptions{Threads: int(s.int("threads")), MaxISA: s.text("max_isa"),
			MemoryLimit: s.int("memory_limit")})
		if err != nil {
			return err
		}
		defer runtime.Close()
		memory, err := runtime.Memory()
		r.got = object{"isa": runtime.ISA(), "threads": runtime.Threads(), "limit_bytes": memory.LimitBytes}
		return err
	case "render":
		var template *ponder.ChatTemplate
		var err error
		if s.has("template") {
			template, err = ponder.BuiltinTemplate(s.text("template"))
		} else {
			template, err = r.model.Template()
		}
		if err != nil {
			return err
		}
		text, err := template.Render(chat(s))
		if err == nil {
			r.got["text"] = text
		}
		return err
	case "template_load":
		_, err := ponder.LoadTemplate(r.path(s.text("path")), nil)
		return err
	case "tokenizer_load":
		tokenizer, err := ponder.LoadTokenizer(r.path(s.text("path")), nil)
		if err != nil {
			return err
		}
		return r.tellTokenizer(tokenizer)
	}
	tokenizer, err := r.model.Tokenizer()
	if err != nil {
		return err
	}
	switch s.text("do") {
	case "tokenizer_info":
		return r.tellTokenizer(tokenizer)
	case "encode":
		var flags ponder.EncodeFlags
		if s.flag("special") {
			flags |= ponder.EncodeSpecial
		}
		if s.flag("bos") {
			flags |= ponder.EncodeBOS
		}
		return r.tell("ids")(tokenizer.Encode(s.text("text"), flags))
	case "decode":
		text, err := tokenizer.Decode(ids(s["ids"]), s.flag("skip_special"))
		if err == nil {
			r.got["text"] = text
		}
		return err
	case "find":
		id, err := tokenizer.Find(s.text("text"))
		if err == nil {
			r.got["id"] = id
		}
		return err
	case "token":
		bytes, flags, err := tokenizer.Token(int32(s.int("id")))
		list := []int{}
		for _, b := range bytes {
			list = append(list, int(b))
		}
		if err == nil {
			r.got = object{"bytes": list, "flags": flags}
		}
		return err
	}
	return fmt.Errorf("a step does %q, which is not known", s.text("do"))
}

// alike compares values of JSON; numbers with a point depend on the instruction set.
func alike(got, want any) bool {
	switch want := want.(type) {
	case json.Number:
		number, ok := got.(json.Number)
		if !ok || !strings.ContainsAny(want.String(), ".e") {
			return got == want
		}
		a, _ := number.Float64()
		b, _ := want.Float64()
		return math.Abs(a-b) <= 2e-3*math.Max(1, math.Abs(b))
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return false
		}
		for i := range want {
			if !alike(list[i], want[i]) {
				return false
			}
		}
		return true
	case object:
		members, ok := got.(object)
		if !ok || len(members) != len(want) {
			return false
		}
		for key, value := range want {
			if !alike(members[key], value) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

func decode(t *testing.T, text []byte) (value any) {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// Every case of ../conformance/conformance.json through this package: the same tokens, texts and errors as through C.
func TestConformance(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../conformance/conformance.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range decode(t, text).([]any) {
		c := one.(object)
		t.Run(c["name"].(string), func(t *testing.T) {
			runtime, err := ponder.NewRuntime(ponder.RuntimeOptions{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			r := &run{root: root, temporary: t.TempDir(), runtime: runtime, sessions: map[string]*ponder.Session{}, states: map[string][]byte{}, adapters: map[string]*ponder.Adapter{}}
			if r.model, err = ponder.Load(r.path("$TINY"), &ponder.LoadOptions{Runtime: runtime}); err != nil {
				t.Fatal(err)
			}
			for i, one := range c["steps"].([]any) {
				got, err := json.Marshal(r.do(step(one.(object))))
				if err != nil {
					t.Fatal(err)
				}
				if want := one.(object)["want"]; !alike(decode(t, got), want) {
					wanted, _ := json.Marshal(want)
					t.Errorf("step %d:\n  got    %s\n  wanted %s", i+1, got, wanted)
				}
			}
		})
	}
}
