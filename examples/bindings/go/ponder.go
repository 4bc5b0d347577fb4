// Package ponder runs DeepSeek models inside your program, over ponder's C ABI.
//
//	model, err := ponder.Load("DeepSeek-R1-Distill-Qwen-1.5B", nil)
//	session, err := model.NewSession(ponder.SessionParams{})
//	defer session.Close()
//	err = session.Prompt(ctx, "Why is the sky blue?")
//	events := session.Events(ctx)
//	for events.Next() {
//		fmt.Print(events.Event().Text)
//	}
//	err = events.Err()
//
// A context ends a call within one layer's time; the session can then go on. Runtimes, models, tokenizers and templates may
// be used by any goroutine at any time, a session by one at a time, except Cancel. What is not closed is freed by the
// garbage collector, late. A function of the host's that panics stops the call that it was given to, and the panic goes on
// when that has returned.
package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Status says what went wrong; errors.Is(err, ponder.NotFound) asks for one.
type Status int32

const (
	InvalidArgument Status = C.PONDER_E_INVALID_ARGUMENT
	OutOfMemory     Status = C.PONDER_E_OUT_OF_MEMORY
	IO              Status = C.PONDER_E_IO
	NotFound        Status = C.PONDER_E_NOT_FOUND
	BadFile         Status = C.PONDER_E_BAD_FILE
	Unsupported     Status = C.PONDER_E_UNSUPPORTED
	WrongState      Status = C.PONDER_E_STATE
	ContextFull     Status = C.PONDER_E_CONTEXT_FULL
	Cancelled       Status = C.PONDER_E_CANCELLED
	NoTokenizer     Status = C.PONDER_E_NO_TOKENIZER
	TemplateFailed  Status = C.PONDER_E_TEMPLATE
	Numeric         Status = C.PONDER_E_NUMERIC
	BufferTooSmall  Status = C.PONDER_E_BUFFER_TOO_SMALL
	CallbackFailed  Status = C.PONDER_E_CALLBACK
	Device          Status = C.PONDER_E_DEVICE
	Internal        Status = C.PONDER_E_INTERNAL
)

// Error is the status as a word, e.g. "context_full".
func (s Status) Error() string { return C.GoString(C.ponder_status_name(C.ponder_status(s))) }

// Error is a failed call: its status, and a message that names the thing, what was found and what was wanted.
type Error struct {
	Status  Status
	Message string
	cause   error // of the context that ended the call
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Status.Error()
	}
	return e.Message
}

// Is makes errors.Is(err, ponder.NotFound) work.
func (e *Error) Is(target error) bool {
	status, ok := target.(Status)
	return ok && status == e.Status
}

// Unwrap gives the error of the context that ended the call, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Version is that of the loaded library.
func Version() string { return C.GoString(C.ponder_version()) }

// ABIVersion is PONDER_ABI_VERSION of the loaded library.
func ABIVersion() uint32 { return uint32(C.ponder_abi_version()) }

// check makes an error of a status below 0.
func check(status C.ponder_status, err *C.ponder_error) error {
	if status >= 0 {
		return nil
	}
	return &Error{Status: Status(status), Message: C.GoString(&err.message[0])}
}

func invalid(message string) error { return &Error{Status: InvalidArgument, Message: message} }

// take copies a buffer and frees it.
func take(buffer *C.ponder_buffer) []byte {
	defer C.ponder_buffer_free(buffer)
	return C.GoBytes(C.ponder_buffer_data(buffer), C.int(C.ponder_buffer_size(buffer)))
}

// list is what f fills.
func list(f func(ids *C.int32_t, capacity C.size_t, count *C.size_t, err *C.ponder_error) C.ponder_status) ([]int32, error) {
	var err C.ponder_error
	var count C.size_t
	if e := check(f(nil, 0, &count, &err), &err); e != nil || count == 0 {
		return []int32{}, e
	}
	ids := make([]int32, count)
	return ids, check(f(idPointer(ids), count, &count, &err), &err)
}

func idPointer(ids []int32) *C.int32_t {
	if len(ids) == 0 {
		return nil
	}
	return (*C.int32_t)(unsafe.Pointer(&ids[0]))
}

func floatPointer(values []float32) *C.float {
	if len(values) == 0 {
		return nil
	}
	return (*C.float)(unsafe.Pointer(&values[0]))
}

func bytePointer(text []byte) *C.char {
	if len(text) == 0 {
		return nil
	}
	return (*C.char)(unsafe.Pointer(&text[0]))
}

// arena is C memory for the time of a call: structs that C reads may not point to Go's memory.
type arena struct{ memory []unsafe.Pointer }

func (a *arena) free() {
	for _, p := range a.memory {
		C.free(p)
	}
}

func (a *arena) bytes(data []byte) unsafe.Pointer {
	p := C.CBytes(append(data, 0))
	a.memory = append(a.memory, p)
	return p
}

func (a *arena) alloc(n int, size uintptr) unsafe.Pointer {
	p := C.calloc(C.size_t(n)+1, C.size_t(size))
	a.memory = append(a.memory, p)
	return p
}

// path is a NUL-terminated copy; NUL inside is refused.
func (a *arena) path(text string) (*C.char, error) {
	for i := 0; i < len(text); i++ {
		if text[i] == 0 {
			return nil, invalid("a path or name holds a NUL")
		}
	}
	return (*C.char)(a.bytes([]byte(text))), nil
}

// host is a function of the host's during a call, and what it panicked with.
type host struct {
	function any
	panicked any
	stopped  bool // by a panic
}

// newHost gives a handle for the call, or 0 without a function; done is to be called when the call has returned.
func newHost(function any) (h *host, handle C.uintptr_t, done func()) {
	h = &host{function: function}
	key := cgo.NewHandle(h)
	return h, C.uintptr_t(key), func() {
		key.Delete()
		h.goOn()
	}
}

func hostOf(handle C.uintptr_t) *host { return cgo.Handle(handle).Value().(*host) }

// run says whether to go on; a panic is kept and stops.
func (h *host) run(f func() bool) (stop C.int32_t) {
	defer func() {
		if h.stopped {
			h.panicked = recover()
			stop = 1
		}
	}()
	h.stopped = true
	goOn := f()
	h.stopped = false
	if !goOn {
		return 1
	}
	return 0
}

// goOn lets a panic go on.
func (h *host) goOn() {
	if h.stopped {
		h.stopped = false
		panic(h.panicked)
	}
}
