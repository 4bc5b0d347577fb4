package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Adapter is a LoRA adapter of PEFT for one model, for any number of its sessions: see Session.SetAdapters.
type Adapter struct {
	raw    *C.ponder_adapter
	model  *Model
	memory *cMemory // of LoadAdapterMemory
}

// LoadAdapter of a folder with adapter_config.json and adapter_model.safetensors.
func (m *Model) LoadAdapter(path string) (*Adapter, error) {
	defer runtime.KeepAlive(m)
	var a arena
	defer a.free()
	name, e := a.path(path)
	if e != nil {
		return nil, e
	}
	adapter := &Adapter{model: m}
	var err C.ponder_error
	return adapter.made(check(C.ponder_adapter_load(m.runtime.raw, m.raw, name, &adapter.raw, &err), &err))
}

// LoadAdapterMemory is LoadAdapter from files in memory, which are copied.
func (m *Model) LoadAdapterMemory(contents map[string][]byte) (*Adapter, error) {
	defer runtime.KeepAlive(m)
	adapter := &Adapter{model: m, memory: newMemory()}
	files, n, e := memoryFiles(&adapter.memory.arena, contents)
	if e != nil {
		return nil, e
	}
	var err C.ponder_error
	return adapter.made(check(C.ponder_adapter_load_memory(m.runtime.raw, m.raw, files, n, &adapter.raw, &err), &err))
}

func (a *Adapter) made(err error) (*Adapter, error) {
	if err != nil {
		return nil, err
	}
	runtime.SetFinalizer(a, (*Adapter).Close)
	return a, nil
}

// Close frees it now. Sessions that use it keep it.
func (a *Adapter) Close() error {
	runtime.SetFinalizer(a, nil)
	C.ponder_adapter_free(a.raw)
	a.raw = nil
	return nil
}

// AdapterInfo is what an adapter is.
type AdapterInfo struct {
	MaxRank               int
	NWeights, NParameters int64
	Fingerprint           uint64
}

// Info of the adapter.
func (a *Adapter) Info() (AdapterInfo, error) {
	defer runtime.KeepAlive(a)
	var err C.ponder_error
	info := C.ponder_adapter_info{}
	info.struct_size = C.uint32_t(unsafe.Sizeof(info))
	e := check(C.ponder_adapter_get_info(a.raw, &info, &err), &err)
	return AdapterInfo{MaxRank: int(info.max_rank), NWeights: int64(info.n_weights), NParameters: int64(info.n_parameters),
		Fingerprint: uint64(info.fingerprint)}, e
}

// AdapterUse is an adapter of a session.
type AdapterUse struct {
	Adapter *Adapter
	Scale   float32 // 1 as it was trained, 0 as if it were not there
}

// SetAdapters sets the LoRA adapters from here on, in place of those before; none: the model itself. What was computed with
// others is computed anew when it is needed.
func (s *Session) SetAdapters(uses ...AdapterUse) error {
	raw := make([]C.ponder_adapter_use, len(uses)+1)
	kept := make([]*Adapter, len(uses))
	for i, use := range uses {
		if use.Adapter == nil {
			return invalid("an adapter is nil")
		}
		raw[i] = C.ponder_adapter_use{adapter: use.Adapter.raw, scale: C.float(use.Scale)}
		kept[i] = use.Adapter
	}
	defer runtime.KeepAlive(kept)
	return s.call(func(err *C.ponder_error) C.ponder_status {
		status := C.ponder_session_set_adapters(s.raw, &raw[0], C.size_t(len(uses)), err)
		if status >= 0 {
			s.adapters = kept
		}
		return status
	})
}
