package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"encoding/json"
	"io/fs"
	"runtime"
	"unsafe"
)

// Model is a loaded checkpoint.
type Model struct {
	raw     *C.ponder_model
	runtime *Runtime
	hooks   *hooks   // of the runtime, which may be closed
	memory  *cMemory // of LoadMemory
	files   *files
	info    ModelInfo
}

// cMemory is freed when the model and all its sessions are gone.
type cMemory struct{ arena arena }

func newMemory() *cMemory {
	memory := &cMemory{}
	runtime.SetFinalizer(memory, func(memory *cMemory) { memory.arena.free() })
	return memory
}

// LoadOptions may be nil: weights as they lie, in the default runtime.
type LoadOptions struct {
	Runtime    *Runtime
	WeightType string // weights that lie in another type are converted while they load, e.g. "q4_k_m"
	NoMTP      bool   // leave the multi-token-prediction layer unloaded
	Progress   func(fraction float32) bool
	Files      fs.FS // the path is a name in there, e.g. in an embed.FS or a zip.Reader
}

// Load a Hugging Face folder or a GGUF file.
func Load(path string, options *LoadOptions) (*Model, error) {
	return load(options, func(m *Model, a *arena, params *C.ponder_model_params, err *C.ponder_error) C.ponder_status {
		name, e := a.path(path)
		if e != nil {
			return refuse(err, e)
		}
		return C.ponder_model_load(m.runtime.raw, name, params, &m.raw, err)
	})
}

// LoadMemory is Load from files in memory, which are copied: {"config.json": ..., "model.safetensors": ...}.
func LoadMemory(contents map[string][]byte, options *LoadOptions) (*Model, error) {
	return load(options, func(m *Model, a *arena, params *C.ponder_model_params, err *C.ponder_error) C.ponder_status {
		m.memory = newMemory()
		raw, n, e := memoryFiles(&m.memory.arena, contents)
		if e != nil {
			return refuse(err, e)
		}
		return C.ponder_model_load_memory(m.runtime.raw, raw, n, params, &m.raw, err)
	})
}

func memoryFiles(a *arena, contents map[string][]byte) (*C.ponder_memory_file, C.size_t, error) {
	raw := (*C.ponder_memory_file)(a.alloc(len(contents), unsafe.Sizeof(C.ponder_memory_file{})))
	slots, i := unsafe.Slice(raw, len(contents)+1), 0
	for name, data := range contents {
		path, err := a.path(name)
		if err != nil {
			return nil, 0, err
		}
		slots[i] = C.ponder_memory_file{name: path, data: a.bytes(data), size: C.size_t(len(data))}
		i++
	}
	return raw, C.size_t(len(contents)), nil
}

// refuse tells an error of ours as if the library had refused.
func refuse(err *C.ponder_error, e error) C.ponder_status {
	for i, c := range []byte(e.Error()) {
		if i < len(err.message)-1 {
			err.message[i] = C.char(c)
		}
	}
	return C.PONDER_E_INVALID_ARGUMENT
}

func load(options *LoadOptions, f func(*Model, *arena, *C.ponder_model_params, *C.ponder_error) C.ponder_status) (*Model, error) {
	if options == nil {
		options = &LoadOptions{}
	}
	m := &Model{runtime: options.Runtime}
	if m.runtime == nil {
		r, err := DefaultRuntime()
		if err != nil {
			return nil, err
		}
		m.runtime = r
	}
	m.hooks = m.runtime.hooks
	var a arena
	defer a.free()
	params := (*C.ponder_model_params)(a.alloc(1, unsafe.Sizeof(C.ponder_model_params{})))
	*params = C.ponder_model_params_default()
	if options.NoMTP {
		params.flags = C.PONDER_MODEL_NO_MTP
	}
	if options.WeightType != "" {
		weightType, err := a.path(options.WeightType)
		if err != nil {
			return nil, err
		}
		params.weight_type = weightType
	}
	if options.Files != nil {
		m.files = newFiles(options.Files)
		params.files = m.files.raw(&a)
	}
	if options.Progress != nil {
		_, handle, done := newHost(options.Progress)
		defer done()
		C.bridge_model_progress(params, handle)
	}
	var err C.ponder_error
	if e := check(f(m, &a, params, &err), &err); e != nil {
		return nil, e
	}
	runtime.SetFinalizer(m, (*Model).Close)
	var e error
	m.info, e = m.Info()
	return m, e
}

//export ponderGoProgress
func ponderGoProgress(handle C.uintptr_t, fraction C.float) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool { return h.function.(func(float32) bool)(float32(fraction)) })
}

// Random makes a model with seeded random weights in the geometry of a config.json. dtype: "f32", "f16", "bf16" or "fp8";
// layers 0: all. Experimental.
func Random(r *Runtime, configJSON []byte, dtype string, layers int, seed uint64) (*Model, error) {
	return load(&LoadOptions{Runtime: r}, func(m *Model, a *arena, _ *C.ponder_model_params, err *C.ponder_error) C.ponder_status {
		name, e := a.path(dtype)
		if e != nil {
			return refuse(err, e)
		}
		return C.ponder_model_random(m.runtime.raw, bytePointer(configJSON), C.size_t(len(configJSON)), name,
			C.int32_t(layers), C.uint64_t(seed), &m.raw, err)
	})
}

// Close frees it now. Sessions go on working.
func (m *Model) Close() error {
	runtime.SetFinalizer(m, nil)
	C.ponder_model_free(m.raw)
	m.raw = nil
	return nil
}

// ModelInfo is what a model is.
type ModelInfo struct {
	VocabSize, HiddenSize, NumHiddenLayers, MaxPositionEmbeddings int
	HasTokenizer, HasChatTemplate, HasMTP                         bool
	BOSTokenID                                                    int32
	NParameters, NActiveParameters                                int64
	WeightBytes, KVBytesPerToken, ActiveWeightBytes               int64
	Fingerprint                                                   uint64
}

// Info of the model.
func (m *Model) Info() (ModelInfo, error) {
	defer runtime.KeepAlive(m)
	var err C.ponder_error
	info := C.ponder_model_info{}
	info.struct_size = C.uint32_t(unsafe.Sizeof(info))
	e := check(C.ponder_model_get_info(m.raw, &info, &err), &err)
	return ModelInfo{
		VocabSize: int(info.vocab_size), HiddenSize: int(info.hidden_size), NumHiddenLayers: int(info.num_hidden_layers),
		MaxPositionEmbeddings: int(info.max_position_embeddings), HasTokenizer: info.has_tokenizer != 0,
		HasChatTemplate: info.has_chat_template != 0, HasMTP: info.has_mtp != 0, BOSTokenID: int32(info.bos_token_id),
		NParameters: int64(info.n_parameters), NActiveParameters: int64(info.n_active_parameters),
		WeightBytes: int64(info.weight_bytes), KVBytesPerToken: int64(info.kv_bytes_per_token),
		ActiveWeightBytes: int64(info.active_weight_bytes), Fingerprint: uint64(info.fingerprint),
	}, e
}

// EOSIDs end a reply.
func (m *Model) EOSIDs() ([]int32, error) {
	defer runtime.KeepAlive(m)
	return list(func(ids *C.int32_t, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status {
		return C.ponder_model_eos_ids(m.raw, ids, capacity, count, err)
	})
}

// LoadReport is the warnings of the load.
func (m *Model) LoadReport() ([]string, error) {
	defer runtime.KeepAlive(m)
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_model_load_report(m.raw, &out, &err), &err); e != nil {
		return nil, e
	}
	var report []string
	return report, json.Unmarshal(take(out), &report)
}

// MemoryPlan is what a session would reserve.
type MemoryPlan struct {
	ContextLength, WeightBytes, KVBytes, ScratchBytes, OtherBytes, TotalBytes int64
}

// Plan for a session with these params.
func (m *Model) Plan(params SessionParams) (MemoryPlan, error) {
	defer runtime.KeepAlive(m)
	var err C.ponder_error
	plan := C.ponder_memory_plan{}
	plan.struct_size = C.uint32_t(unsafe.Sizeof(plan))
	var a arena
	defer a.free()
	raw, e := params.raw(&a)
	if e != nil {
		return MemoryPlan{}, e
	}
	e = check(C.ponder_model_plan(m.raw, &raw, &plan, &err), &err)
	return MemoryPlan{
		ContextLength: int64(plan.context_length), WeightBytes: int64(plan.weight_bytes), KVBytes: int64(plan.kv_bytes),
		ScratchBytes: int64(plan.scratch_bytes), OtherBytes: int64(plan.other_bytes), TotalBytes: int64(plan.total_bytes),
	}, e
}

// GenerateParams are what the checkpoint's generation_config.json asks for.
func (m *Model) GenerateParams() (GenerateParams, error) {
	defer runtime.KeepAlive(m)
	var err C.ponder_error
	raw := C.ponder_generate_params_default()
	if e := check(C.ponder_model_generate_params(m.raw, &raw, &err), &err); e != nil {
		return GenerateParams{}, e
	}
	return paramsOf(&raw), nil
}

// ImatrixOptions may be nil.
type ImatrixOptions struct {
	ChunkTokens, MaxChunks int
	Progress               func(doneChunks, nChunks uint64) bool
}

// Imatrix writes an importance matrix for Quantize; a JSON object. Experimental.
func (m *Model) Imatrix(text, outputPath string, options *ImatrixOptions) ([]byte, error) {
	defer runtime.KeepAlive(m)
	if options == nil {
		options = &ImatrixOptions{}
	}
	var a arena
	defer a.free()
	params := C.ponder_imatrix_params_default()
	params.chunk_tokens = C.int32_t(options.ChunkTokens)
	params.max_chunks = C.int32_t(options.MaxChunks)
	if options.Progress != nil {
		_, handle, done := newHost(options.Progress)
		defer done()
		C.bridge_imatrix_progress(&params, handle)
	}
	path, e := a.path(outputPath)
	if e != nil {
		return nil, e
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	data := []byte(text)
	if e := check(C.ponder_imatrix(m.runtime.raw, m.raw, bytePointer(data), C.size_t(len(data)), path, &params, &out, &err), &err); e != nil {
		return nil, e
	}
	return take(out), nil
}

//export ponderGoImatrix
func ponderGoImatrix(handle C.uintptr_t, done, n C.uint64_t) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool { return h.function.(func(uint64, uint64) bool)(uint64(done), uint64(n)) })
}

// QuantizeOptions may be nil.
type QuantizeOptions struct {
	Runtime     *Runtime
	Type        string // "": "q4_k_m"
	ImatrixPath string
	Progress    func(doneBytes, totalBytes uint64, tensor string) bool
	Files       fs.FS // of path alone
}

// Quantize writes a model as one GGUF file with weights of another type; a JSON object. Experimental.
func Quantize(path, outputPath string, options *QuantizeOptions) ([]byte, error) {
	if options == nil {
		options = &QuantizeOptions{}
	}
	r := options.Runtime
	if r == nil {
		var err error
		if r, err = DefaultRuntime(); err != nil {
			return nil, err
		}
	}
	defer runtime.KeepAlive(r)
	var a arena
	defer a.free()
	params := (*C.ponder_quantize_params)(a.alloc(1, unsafe.Sizeof(C.ponder_quantize_params{})))
	*params = C.ponder_quantize_params_default()
	texts := [4]*C.char{}
	for i, text := range [4]string{path, outputPath, options.Type, options.ImatrixPath} {
		var err error
		if texts[i], err = a.path(text); err != nil {
			return nil, err
		}
	}
	if options.Type != "" {
		params._type = texts[2]
	}
	if options.ImatrixPath != "" {
		params.imatrix_path = texts[3]
	}
	if options.Files != nil {
		f := newFiles(options.Files)
		defer runtime.KeepAlive(f)
		params.files = f.raw(&a)
	}
	if options.Progress != nil {
		_, handle, done := newHost(options.Progress)
		defer done()
		C.bridge_quantize_progress(params, handle)
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_quantize(r.raw, texts[0], texts[1], params, &out, &err), &err); e != nil {
		return nil, e
	}
	return take(out), nil
}

//export ponderGoQuantize
func ponderGoQuantize(handle C.uintptr_t, done, total C.uint64_t, tensor *C.char) C.int32_t {
	h := hostOf(handle)
	return h.run(func() bool {
		return h.function.(func(uint64, uint64, string) bool)(uint64(done), uint64(total), C.GoString(tensor))
	})
}

// Inspect says what a checkpoint is, from its headers, as a JSON object. files may be nil: the operating system's.
func Inspect(path string, params SessionParams, files fs.FS) ([]byte, error) {
	var a arena
	defer a.free()
	name, e := a.path(path)
	if e != nil {
		return nil, e
	}
	raw, e := params.raw(&a)
	if e != nil {
		return nil, e
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	if files == nil {
		e = check(C.ponder_inspect(name, &raw, &out, &err), &err)
	} else {
		f := newFiles(files)
		defer runtime.KeepAlive(f)
		e = check(C.ponder_inspect_files(f.raw(&a), name, &raw, &out, &err), &err)
	}
	if e != nil {
		return nil, e
	}
	return take(out), nil
}

// InspectMemory is Inspect of files in memory.
func InspectMemory(contents map[string][]byte, params SessionParams) ([]byte, error) {
	var a arena
	defer a.free()
	files, n, e := memoryFiles(&a, contents)
	if e != nil {
		return nil, e
	}
	raw, e := params.raw(&a)
	if e != nil {
		return nil, e
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_inspect_memory(files, n, &raw, &out, &err), &err); e != nil {
		return nil, e
	}
	return take(out), nil
}

// Resolve gives the path of a model by the name that another program on this machine gives it, e.g. "deepseek-r1:8b".
func Resolve(name string) (string, error) {
	var a arena
	defer a.free()
	text, e := a.path(name)
	if e != nil {
		return "", e
	}
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_model_resolve(text, &out, &err), &err); e != nil {
		return "", e
	}
	return string(take(out)), nil
}

// ListModels gives the models of those programs as a JSON array.
func ListModels() ([]byte, error) {
	var err C.ponder_error
	var out *C.ponder_buffer
	if e := check(C.ponder_model_list(&out, &err), &err); e != nil {
		return nil, e
	}
	return take(out), nil
}
