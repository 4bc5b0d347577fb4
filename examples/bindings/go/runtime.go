package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// LogLevel of a message.
type LogLevel int32

const (
	LogDebug   LogLevel = C.PONDER_LOG_DEBUG
	LogInfo    LogLevel = C.PONDER_LOG_INFO
	LogWarning LogLevel = C.PONDER_LOG_WARNING
	LogError   LogLevel = C.PONDER_LOG_ERROR
)

// Allocator gives large memory, which must be C's: Go's collector would move or free it. nil: there is none left.
type Allocator interface {
	Allocate(size, alignment uintptr) unsafe.Pointer
	Deallocate(memory unsafe.Pointer, size, alignment uintptr)
}

// RuntimeOptions: threads, instruction set, log, memory. The functions may be called by any thread; what they panic with is
// dropped.
type RuntimeOptions struct {
	Threads       int    // compute threads, the calling one included; 0: one per available core
	MaxISA        string // "ref", "avx2", ...: no kernel above it is used
	MemoryLimit   int64  // bytes of weights, KV caches and scratch; 0: no limit
	Log           func(level LogLevel, message string)
	LogLevel      LogLevel // least level that is sent; 0: info
	OnThreadStart func(index int)
	Executor      func(n int, task func(index int)) // runs all tasks and returns when they are done
	Allocator     Allocator
}

// hooks holds the options as long as anything made with the runtime lives: models hold it, sessions hold models.
type hooks struct{ handle cgo.Handle }

// Runtime is a thread pool and the kernels for this CPU.
type Runtime struct {
	raw   *C.ponder_runtime
	hooks *hooks
}

var defaultRuntime struct {
	once    sync.Once
	runtime *Runtime
	err     error
}

// DefaultRuntime is shared by models that are given none.
func DefaultRuntime() (*Runtime, error) {
	d := &defaultRuntime
	d.once.Do(func() { d.runtime, d.err = NewRuntime(RuntimeOptions{}) })
	return d.runtime, d.err
}

// NewRuntime starts one.
func NewRuntime(options RuntimeOptions) (*Runtime, error) {
	var a arena
	defer a.free()
	params := C.ponder_runtime_params_default()
	params.n_threads = C.int32_t(options.Threads)
	params.memory_limit = C.int64_t(options.MemoryLimit)
	params.log_level = C.ponder_log_level(options.LogLevel)
	if options.MaxISA != "" {
		isa, err := a.path(options.MaxISA)
		if err != nil {
			return nil, err
		}
		params.max_isa = isa
	}
	which := 0
	for bit, given := range map[int]bool{
		C.BRIDGE_LOG: options.Log != nil, C.BRIDGE_THREAD: options.OnThreadStart != nil,
		C.BRIDGE_EXECUTOR: options.Executor != nil, C.BRIDGE_ALLOCATOR: options.Allocator != nil,
	} {
		if given {
			which |= bit
		}
	}
	r := &Runtime{}
	if which != 0 {
		r.hooks = &hooks{cgo.NewHandle(&options)}
		runtime.SetFinalizer(r.hooks, func(h *hooks) { h.handle.Delete() })
		C.bridge_runtime_hooks(&params, C.uintptr_t(r.hooks.handle), C.int(which))
	}
	var err C.ponder_error
	if e := check(C.ponder_runtime_create(&params, &r.raw, &err), &err); e != nil {
		return nil, e
	}
	runtime.SetFinalizer(r, (*Runtime).Close)
	return r, nil
}

// Close frees it now. What was made with it goes on working.
func (r *Runtime) Close() error {
	runtime.SetFinalizer(r, nil)
	C.ponder_runtime_free(r.raw)
	r.raw = nil
	return nil
}

// ISA is the instruction set in use, e.g. "avx2".
func (r *Runtime) ISA() string {
	defer runtime.KeepAlive(r)
	return C.GoString(C.ponder_runtime_isa(r.raw))
}

// Threads are the compute threads, the calling one included.
func (r *Runtime) Threads() int {
	defer runtime.KeepAlive(r)
	return int(C.ponder_runtime_threads(r.raw))
}

// MemoryInfo says what a runtime's large memory is.
type MemoryInfo struct {
	LimitBytes, UsedBytes, PeakBytes, WeightBytes, KVBytes, ScratchBytes, OtherBytes int64
}

// Memory of all that lives with the runtime.
func (r *Runtime) Memory() (MemoryInfo, error) {
	defer runtime.KeepAlive(r)
	var err C.ponder_error
	info := C.ponder_memory_info{}
	info.struct_size = C.uint32_t(unsafe.Sizeof(info))
	e := check(C.ponder_runtime_memory(r.raw, &info, &err), &err)
	return MemoryInfo{
		LimitBytes: int64(info.limit_bytes), UsedBytes: int64(info.used_bytes), PeakBytes: int64(info.peak_bytes),
		WeightBytes: int64(info.weight_bytes), KVBytes: int64(info.kv_bytes), ScratchBytes: int64(info.scratch_bytes),
		OtherBytes: int64(info.other_bytes),
	}, e
}

// Selftest runs every kernel beside its scalar reference on this CPU; a JSON object, also with the error Device.
func (r *Runtime) Selftest() ([]byte, error) {
	defer runtime.KeepAlive(r)
	var err C.ponder_error
	var out *C.ponder_buffer
	e := check(C.ponder_selftest(r.raw, &out, &err), &err)
	if out == nil {
		return nil, e
	}
	return take(out), e
}

// optionsOf runs f on the options of a handle; a panic is dropped.
func optionsOf(handle C.uintptr_t, f func(options *RuntimeOptions)) {
	defer func() { _ = recover() }()
	f(cgo.Handle(handle).Value().(*RuntimeOptions))
}

//export ponderGoLog
func ponderGoLog(handle C.uintptr_t, level C.int32_t, message *C.char, size C.size_t) {
	optionsOf(handle, func(o *RuntimeOptions) { o.Log(LogLevel(level), C.GoStringN(message, C.int(size))) })
}

//export ponderGoThreadStart
func ponderGoThreadStart(handle C.uintptr_t, index C.int32_t) {
	optionsOf(handle, func(o *RuntimeOptions) { o.OnThreadStart(int(index)) })
}

//export ponderGoExecute
func ponderGoExecute(handle C.uintptr_t, n C.size_t, task C.ponder_task_fn, data unsafe.Pointer) {
	optionsOf(handle, func(o *RuntimeOptions) {
		o.Executor(int(n), func(index int) { C.bridge_run_task(task, data, C.size_t(index)) })
	})
}

//export ponderGoAllocate
func ponderGoAllocate(handle C.uintptr_t, size, alignment C.size_t) (memory unsafe.Pointer) {
	optionsOf(handle, func(o *RuntimeOptions) { memory = o.Allocator.Allocate(uintptr(size), uintptr(alignment)) })
	return memory
}

//export ponderGoDeallocate
func ponderGoDeallocate(handle C.uintptr_t, memory unsafe.Pointer, size, alignment C.size_t) {
	optionsOf(handle, func(o *RuntimeOptions) { o.Allocator.Deallocate(memory, uintptr(size), uintptr(alignment)) })
}
