"""Runtime and model, and what is done to files of models."""

from __future__ import annotations

import json
import sys
import threading
from ctypes import byref, c_char_p, c_void_p, cast, string_at
from typing import Any, Callable, Mapping

from . import _native as c
from ._call import Host, bytes_of, call, handle_of, ids_of, path_bytes, text_bytes
from ._files import OpenFile, files_of
from ._params import (
    GenerateParams,
    LogLevel,
    MemoryInfo,
    MemoryPlan,
    ModelInfo,
    SessionParams,
    info_of,
    params_of,
    set_number,
)
from ._text import ChatTemplate, Handle, Path, Tokenizer, to_json

# A function that hears of progress; it stops the call by returning False.
Progress = Callable[[float], Any]
BytesProgress = Callable[[int, int, str], Any]
ChunksProgress = Callable[[int, int], Any]


class Runtime(Handle):
    """A thread pool and the kernels for this CPU. Most programs need none of their own: models share a default one."""

    _free = c.lib.ponder_runtime_free

    def __init__(
        self,
        threads: int = 0,
        *,
        max_isa: str | None = None,
        memory_limit: int = 0,
        log: Callable[[int, str], None] | None = None,
        log_level: LogLevel = LogLevel.INFO,
        on_thread_start: Callable[[int], None] | None = None,
        executor: Callable[[int, Callable[[int], None]], None] | None = None,
        allocator: tuple[Callable[[int, int], int], Callable[[int, int, int], None]] | None = None,
    ) -> None:
        """
        threads, max_isa, memory_limit (bytes), log_level as in ponder.h. log(level, message), on_thread_start(index) and
        executor(n_tasks, task) may be called on any thread, and what they raise goes to sys.unraisablehook. allocator:
        (allocate(size, alignment) -> address, deallocate(address, size, alignment)).
        """
        raw = c.ponder_runtime_params()
        set_number(raw, "n_threads", threads)
        set_number(raw, "memory_limit", memory_limit)
        raw.max_isa = path_bytes(max_isa) if max_isa is not None else None
        raw.log_level = log_level
        if log is not None:
            raw.log = c.ponder_log_fn(
                lambda _, level, text, size: _quietly(log, level, string_at(text, size).decode("utf-8", "replace"))
            )
        if on_thread_start is not None:
            raw.on_thread_start = c.ponder_thread_fn(lambda _, index: _quietly(on_thread_start, index))
        if executor is not None:
            raw.executor = c.ponder_executor_fn(
                lambda _, n, task, data: _quietly(executor, n, lambda index: task(data, index))
            )
        if allocator is not None:
            allocate, deallocate = allocator
            raw.allocate = c.ponder_allocate_fn(lambda _, size, alignment: _quietly(allocate, size, alignment) or 0)
            raw.deallocate = c.ponder_deallocate_fn(
                lambda _, address, size, alignment: _quietly(deallocate, address, size, alignment)
            )
        # Holds the functions, which are called as long as anything made with the runtime lives: models hold their runtime,
        # sessions their model.
        self._raw = raw
        self._handle = handle_of(c.lib.ponder_runtime_create, byref(raw))

    @property
    def isa(self) -> str:
        """The instruction set in use, e.g. "avx2"."""
        isa: bytes = c.lib.ponder_runtime_isa(self.handle)
        return isa.decode()

    @property
    def threads(self) -> int:
        return int(c.lib.ponder_runtime_threads(self.handle))

    def selftest(self) -> dict[str, Any]:
        """Every kernel beside its scalar reference on this CPU; DeviceError when one fails."""
        report: dict[str, Any] = json.loads(bytes_of(c.lib.ponder_selftest, self.handle))
        return report

    @property
    def memory(self) -> MemoryInfo:
        raw = c.ponder_memory_info()
        call(c.lib.ponder_runtime_memory, self.handle, byref(raw))
        info: MemoryInfo = info_of(MemoryInfo, raw)
        return info

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


_default: Runtime | None = None
_default_lock = threading.Lock()


def default_runtime() -> Runtime:
    global _default
    with _default_lock:
        if _default is None or _default.handle is None:
            _default = Runtime()
        return _default


def _quietly(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except BaseException as error:
        sys.unraisablehook(
            type("UnraisableHookArgs", (), {
                "exc_type": type(error), "exc_value": error, "exc_traceback": error.__traceback__,
                "err_msg": "Exception ignored in a function given to ponder", "object": function,
            })()
        )  # fmt: skip
        return None


def _progress(host: Host, function: Callable[..., Any] | None, kind: Any, convert: Callable[..., Any]) -> Any:
    """
    A trampoline, also without a function: Python handles Ctrl-C on the way through it.
    """
    return kind(lambda _, *args: 1 if host.run(lambda: function(*convert(*args)) if function else None) is False else 0)


def memory_files(files: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """(array, what must live as long as the model)."""
    array = (c.ponder_memory_file * len(files))()
    keep: list[Any] = []
    for slot, (name, content) in zip(array, files.items()):
        data = content if isinstance(content, bytes) else bytes(content)
        slot.name, slot.data, slot.size = path_bytes(name), cast(c_char_p(data), c_void_p), len(data)
        keep.append(data)
    return array, keep


class Model(Handle):
    """
    A loaded checkpoint: a Hugging Face folder or a GGUF file, mapped in place. Immutable: any thread, any time.

    progress(fraction) may return False to stop. weight_type converts the weights while they load, e.g. "q4_k_m". With
    files(name) -> bytes or a binary file the path is a name in an archive of the host's, with "/" between parts.
    """

    _free = c.lib.ponder_model_free
    _files: list[Any]  # of from_memory

    def __init__(
        self,
        path: Path,
        *,
        runtime: Runtime | None = None,
        progress: Progress | None = None,
        weight_type: str | None = None,
        mtp: bool = True,
        files: OpenFile | None = None,
    ) -> None:
        self.runtime = runtime or default_runtime()
        host, raw = self._params(progress, weight_type, mtp)
        raw.files, self._archive = files_of(files, host)
        self._handle = handle_of(
            c.lib.ponder_model_load, self.runtime.handle, path_bytes(path), byref(raw), host=host
        )

    @staticmethod
    def _params(progress: Progress | None, weight_type: str | None, mtp: bool) -> tuple[Host, c.ponder_model_params]:
        host = Host()
        raw = c.ponder_model_params(flags=0 if mtp else c.PONDER_MODEL_NO_MTP)
        raw.weight_type = path_bytes(weight_type) if weight_type is not None else None
        raw.progress = _progress(host, progress, c.ponder_progress_fn, lambda fraction: (fraction,))
        return host, raw

    @classmethod
    def from_memory(
        cls,
        files: Mapping[str, Any],
        *,
        runtime: Runtime | None = None,
        progress: Progress | None = None,
        weight_type: str | None = None,
        mtp: bool = True,
    ) -> Model:
        """files: {"config.json": bytes, "model.safetensors": bytes, ...}; the bytes are used as they are, not copied."""
        self = cls.__new__(cls)
        self.runtime = runtime or default_runtime()
        host, raw = cls._params(progress, weight_type, mtp)
        array, self._files = memory_files(files)
        self._handle = handle_of(
            c.lib.ponder_model_load_memory, self.runtime.handle, array, len(array), byref(raw), host=host
        )
        return self

    @classmethod
    def random(
        cls, config: Mapping[str, Any] | str, dtype: str, *, layers: int = 0, seed: int = 0, runtime: Runtime | None = None
    ) -> Model:
        """Seeded random weights in the geometry of a config.json. dtype: "f32", "f16", "bf16" or "fp8". Experimental."""
        self = cls.__new__(cls)
        self.runtime = runtime or default_runtime()
        data = text_bytes(config) if isinstance(config, str) else to_json(config)
        self._handle = handle_of(
            c.lib.ponder_model_random, self.runtime.handle, data, len(data), path_bytes(dtype), layers, seed
        )
        return self

    @property
    def info(self) -> ModelInfo:
        raw = c.ponder_model_info()
        call(c.lib.ponder_model_get_info, self.handle, byref(raw))
        info: ModelInfo = info_of(ModelInfo, raw)
        return info

    @property
    def eos_ids(self) -> list[int]:
        return ids_of(c.lib.ponder_model_eos_ids, self.handle)

    @property
    def load_report(self) -> list[str]:
        """The warnings of the load."""
        report: list[str] = json.loads(bytes_of(c.lib.ponder_model_load_report, self.handle))
        return report

    @property
    def tokenizer(self) -> Tokenizer:
        return Tokenizer._of(handle_of(c.lib.ponder_model_tokenizer, self.handle))

    @property
    def template(self) -> ChatTemplate:
        return ChatTemplate._of(handle_of(c.lib.ponder_model_template, self.handle))

    @property
    def generate_params(self) -> GenerateParams:
        """What the checkpoint's generation_config.json asks for."""
        raw = c.ponder_generate_params()
        call(c.lib.ponder_model_generate_params, self.handle, byref(raw))
        return params_of(raw)

    def plan(self, **params: Any) -> MemoryPlan:
        """What a session with these SessionParams would reserve."""
        raw = c.ponder_memory_plan()
        call(c.lib.ponder_model_plan, self.handle, byref(SessionParams(**params).native()), byref(raw))
        plan: MemoryPlan = info_of(MemoryPlan, raw)
        return plan

    def session(self, **params: Any) -> Session:
        """A conversation with this model; see SessionParams for the settings."""
        return Session(self, **params)

    def imatrix(
        self,
        text: str,
        output_path: Path,
        *,
        chunk_tokens: int = 0,
        max_chunks: int = 0,
        progress: ChunksProgress | None = None,
    ) -> dict[str, Any]:
        """Writes an importance matrix for quantize(). Experimental."""
        host = Host()
        raw = c.ponder_imatrix_params()
        set_number(raw, "chunk_tokens", chunk_tokens)
        set_number(raw, "max_chunks", max_chunks)
        raw.progress = _progress(host, progress, c.ponder_imatrix_fn, lambda *chunks: chunks)
        data = text_bytes(text)
        result: dict[str, Any] = json.loads(
            bytes_of(
                c.lib.ponder_imatrix,
                self.runtime.handle,
                self.handle,
                data,
                len(data),
                path_bytes(output_path),
                byref(raw),
                host=host,
            )
        )
        return result

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def quantize(
    path: Path,
    output_path: Path,
    type: str | None = None,
    *,
    imatrix_path: Path | None = None,
    files: OpenFile | None = None,
    progress: BytesProgress | None = None,
    runtime: Runtime | None = None,
) -> dict[str, Any]:
    """Writes a model as one GGUF file with weights of another type. Experimental."""
    host = Host()
    raw = c.ponder_quantize_params()
    raw.type = path_bytes(type) if type is not None else None
    raw.imatrix_path = path_bytes(imatrix_path) if imatrix_path is not None else None
    raw.files, _archive = files_of(files, host)
    raw.progress = _progress(
        host, progress, c.ponder_quantize_fn, lambda done, total, tensor: (done, total, tensor.decode())
    )
    handle = (runtime or default_runtime()).handle
    result: dict[str, Any] = json.loads(
        bytes_of(c.lib.ponder_quantize, handle, path_bytes(path), path_bytes(output_path), byref(raw), host=host)
    )
    return result


def inspect(model: Path | Mapping[str, Any], *, files: OpenFile | None = None, **params: Any) -> dict[str, Any]:
    """What a checkpoint is, from its headers; a mapping holds files in memory. params: SessionParams, for the plan."""
    raw = byref(SessionParams(**params).native())
    if isinstance(model, Mapping):
        array, _keep = memory_files(model)
        data = bytes_of(c.lib.ponder_inspect_memory, array, len(array), raw)
    elif files is not None:
        host = Host()
        pointer, _archive = files_of(files, host)
        data = bytes_of(c.lib.ponder_inspect_files, pointer, path_bytes(model), raw, host=host)
    else:
        data = bytes_of(c.lib.ponder_inspect, path_bytes(model), raw)
    result: dict[str, Any] = json.loads(data)
    return result


def resolve(name: str) -> str:
    """The path of a model by the name that another program on this machine gives it, e.g. "deepseek-r1:8b"."""
    return bytes_of(c.lib.ponder_model_resolve, path_bytes(name)).decode()


def list_models() -> list[dict[str, Any]]:
    """The models of those programs."""
    result: list[dict[str, Any]] = json.loads(bytes_of(c.lib.ponder_model_list))
    return result


from ._session import Session  # noqa: E402  (a session holds a model)
