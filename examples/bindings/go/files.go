package ponder

/*
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// openFile is a file of an fs.FS that the library reads.
type openFile struct {
	file fs.File
	at   io.ReaderAt
}

// files is an fs.FS for a call and for what was loaded by it.
type files struct{ handle cgo.Handle }

func newFiles(system fs.FS) *files {
	f := &files{cgo.NewHandle(system)}
	runtime.SetFinalizer(f, func(f *files) { f.handle.Delete() })
	return f
}

// raw is the struct in a's memory.
func (f *files) raw(a *arena) *C.ponder_file_system {
	raw := (*C.ponder_file_system)(a.alloc(1, unsafe.Sizeof(C.ponder_file_system{})))
	*raw = C.ponder_file_system_default()
	C.bridge_files(raw, C.uintptr_t(f.handle))
	return raw
}

// statusOf is what the library is told; a panic of the host's becomes CallbackFailed.
func statusOf(f func() error) (status C.ponder_status) {
	status = C.PONDER_E_CALLBACK
	defer func() { _ = recover() }()
	switch err := f(); {
	case err == nil:
		status = C.PONDER_OK
	case errors.Is(err, fs.ErrNotExist):
		status = C.PONDER_E_NOT_FOUND
	default:
		status = C.PONDER_E_IO
	}
	return status
}

//export ponderGoOpen
func ponderGoOpen(handle C.uintptr_t, name *C.char, outFile *C.uintptr_t, outSize *C.uint64_t) C.ponder_status {
	return statusOf(func() error {
		file, err := cgo.Handle(handle).Value().(fs.FS).Open(C.GoString(name))
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err == nil && info.IsDir() { // which the library asks for as for a file
			err = fs.ErrNotExist
		}
		if err != nil {
			file.Close()
			return err
		}
		at, _ := file.(io.ReaderAt)
		*outFile = C.uintptr_t(cgo.NewHandle(&openFile{file, at}))
		*outSize = C.uint64_t(info.Size())
		return nil
	})
}

//export ponderGoRead
func ponderGoRead(file C.uintptr_t, offset C.uint64_t, out unsafe.Pointer, size C.size_t) C.ponder_status {
	return statusOf(func() error {
		open := cgo.Handle(file).Value().(*openFile)
		bytes := unsafe.Slice((*byte)(out), int(size))
		if open.at != nil {
			n, err := open.at.ReadAt(bytes, int64(offset))
			if n == len(bytes) {
				return nil
			}
			return err
		}
		seeker, ok := open.file.(io.Seeker)
		if !ok {
			return errors.New("a file of the fs.FS can neither ReadAt nor Seek")
		}
		if _, err := seeker.Seek(int64(offset), io.SeekStart); err != nil {
			return err
		}
		_, err := io.ReadFull(open.file, bytes)
		return err
	})
}

//export ponderGoClose
func ponderGoClose(file C.uintptr_t) {
	_ = statusOf(func() error {
		open := cgo.Handle(file).Value().(*openFile)
		cgo.Handle(file).Delete()
		return open.file.Close()
	})
}
