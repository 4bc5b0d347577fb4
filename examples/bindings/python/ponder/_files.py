"""The host's own files: models inside an application's archive."""

from __future__ import annotations

import ctypes
from typing import Any, BinaryIO, Callable

from . import _native as c
from ._call import Host

# open(name) gives bytes, another buffer, which is used as it lies, or a binary file object, which is read and closed.
# FileNotFoundError and KeyError mean that there is none of that name.
OpenFile = Callable[[str], "bytes | bytearray | memoryview | BinaryIO"]


class _Open:
    """One open file."""

    def __init__(self, content: Any) -> None:
        self.file: BinaryIO | None = None
        self.buffer: Any = None
        if hasattr(content, "read"):
            self.file = content
            self.size = content.seek(0, 2)
        else:
            view = memoryview(content).cast("B")
            self.size = view.nbytes
            # bytes are read-only, which from_buffer refuses.
            self.buffer = ctypes.c_char_p(content) if isinstance(content, bytes) else (ctypes.c_char * self.size).from_buffer(view)

    @property
    def address(self) -> int:
        if isinstance(self.buffer, ctypes.c_char_p):
            return ctypes.cast(self.buffer, ctypes.c_void_p).value or 0
        return ctypes.addressof(self.buffer)


class Files:
    """The struct for a call, and what its functions use: to be kept as long as what was loaded."""

    def __init__(self, open_file: OpenFile, host: Host) -> None:
        self._open_file = open_file
        self._host = host
        self._files: dict[int, _Open] = {}
        self._next = 1
        self.raw = c.ponder_file_system()
        self.raw.open = c.ponder_file_open_fn(self._open)
        self.raw.read = c.ponder_file_read_fn(self._read)
        self.raw.close = c.ponder_file_close_fn(lambda _, file: self._close(file))
        self.raw.map = c.ponder_file_map_fn(self._map)

    def _open(self, _: int, name: bytes, out_file: Any, out_size: Any) -> int:
        status = c.PONDER_OK

        def run() -> bool:
            nonlocal status
            try:
                opened = _Open(self._open_file(name.decode()))
            except (FileNotFoundError, KeyError):
                status = c.PONDER_E_NOT_FOUND
                return True
            except OSError:
                status = c.PONDER_E_IO
                return True
            number, self._next = self._next, self._next + 1
            self._files[number] = opened
            out_file[0], out_size[0] = number, opened.size
            return True

        return status if self._host.run(run) else c.PONDER_E_CALLBACK

    def _read(self, _: int, file: int, offset: int, out: int, size: int) -> int:
        opened = self._files[file]

        def run() -> bool:
            if opened.file is None:
                ctypes.memmove(out, opened.address + offset, size)
                return True
            opened.file.seek(offset)
            view, done = memoryview((ctypes.c_char * size).from_address(out)).cast("B"), 0
            while done < size:
                data = opened.file.read(size - done)
                if not data:
                    return False
                view[done : done + len(data)] = data
                done += len(data)
            return True

        return c.PONDER_OK if self._host.run(run) else c.PONDER_E_IO

    def _map(self, _: int, file: int) -> int | None:
        opened = self._files[file]
        return None if opened.file is not None or opened.size == 0 else opened.address

    def _close(self, file: int) -> None:
        opened = self._files.pop(file)
        if opened.file is not None:
            opened.file.close()


def files_of(open_file: OpenFile | None, host: Host) -> tuple[Any, Files | None]:
    """(pointer to the struct or None, what to keep)."""
    files = Files(open_file, host) if open_file is not None else None
    return (ctypes.pointer(files.raw) if files is not None else None), files
