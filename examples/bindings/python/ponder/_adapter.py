"""LoRA adapters of PEFT."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING, Any, Mapping

from . import _native as c
from ._call import call, handle_of, path_bytes
from ._params import AdapterInfo, info_of
from ._text import Handle, Path

if TYPE_CHECKING:
    from ._model import Model


class Adapter(Handle):
    """A LoRA adapter for one model, for any number of its sessions: see Session.set_adapters()."""

    _free = c.lib.ponder_adapter_free
    _files: list[Any]  # of a mapping

    def __init__(self, model: Model, path: Path | Mapping[str, Any]) -> None:
        """path: a folder with adapter_config.json and adapter_model.safetensors, or the two as {name: bytes}."""
        from ._model import memory_files

        self.model = model
        if isinstance(path, Mapping):
            array, self._files = memory_files(path)
            self._handle = handle_of(
                c.lib.ponder_adapter_load_memory, model.runtime.handle, model.handle, array, len(array)
            )
        else:
            self._handle = handle_of(c.lib.ponder_adapter_load, model.runtime.handle, model.handle, path_bytes(path))

    @property
    def info(self) -> AdapterInfo:
        raw = c.ponder_adapter_info()
        call(c.lib.ponder_adapter_get_info, self.handle, byref(raw))
        info: AdapterInfo = info_of(AdapterInfo, raw)
        return info
