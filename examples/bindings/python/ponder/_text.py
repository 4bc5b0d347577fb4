"""Tokenizer and chat templates."""

from __future__ import annotations

import json
from ctypes import byref, c_int32, c_size_t, c_uint32, c_void_p, string_at
from os import PathLike
from typing import Any, Iterable, Mapping, Sequence, Union

from . import _native as c
from ._call import Host, bytes_of, call, handle_of, id_array, ids_of, path_bytes, text_bytes
from ._files import Files, OpenFile, files_of
from ._params import TokenizerInfo, info_of

Path = Union[str, "PathLike[str]"]
Messages = Union[str, Sequence[Mapping[str, Any]], Mapping[str, Any]]


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def messages_json(messages: Messages) -> bytes:
    """A string is one message of the user; a mapping may hold "messages" and "tools"."""
    return to_json([{"role": "user", "content": messages}] if isinstance(messages, str) else messages)


def kwargs_json(kwargs: Mapping[str, Any] | None) -> bytes | None:
    return to_json(kwargs) if kwargs else None


class Handle:
    """Owns one handle of the library."""

    _free: Any
    _handle: int | None = None

    def close(self) -> None:
        """Frees it now. What was made with it goes on working."""
        handle, self._handle = self._handle, None
        if handle:
            type(self)._free(handle)

    def __del__(self) -> None:
        self.close()

    @property
    def handle(self) -> int | None:
        """For calls of `ponder._native`; None when closed, which the library refuses."""
        return self._handle


class Tokenizer(Handle):
    _free = c.lib.ponder_tokenizer_free

    def __init__(self, path: Path, *, files: OpenFile | None = None) -> None:
        """A folder with tokenizer.json, that file, or a GGUF file."""
        self._archive: Files | None = None
        if files is None:
            self._handle = handle_of(c.lib.ponder_tokenizer_load, path_bytes(path))
        else:
            host = Host()
            pointer, self._archive = files_of(files, host)
            self._handle = handle_of(c.lib.ponder_tokenizer_load_files, pointer, path_bytes(path), host=host)

    @classmethod
    def _of(cls, handle: int) -> Tokenizer:
        self = cls.__new__(cls)
        self._handle = handle
        return self

    @property
    def info(self) -> TokenizerInfo:
        raw = c.ponder_tokenizer_info()
        call(c.lib.ponder_tokenizer_get_info, self.handle, byref(raw))
        info: TokenizerInfo = info_of(TokenizerInfo, raw)
        return info

    def encode(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        """special: added tokens in the text become their ids."""
        data = text_bytes(text)
        flags = (c.PONDER_ENCODE_SPECIAL if special else 0) | (c.PONDER_ENCODE_BOS if bos else 0)
        return ids_of(c.lib.ponder_tokenizer_encode, self.handle, data, len(data), flags)

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        array, n = id_array(ids)
        flags = c.PONDER_DECODE_SKIP_SPECIAL if skip_special else 0
        return bytes_of(c.lib.ponder_tokenizer_decode, self.handle, array, n, flags).decode()

    def find(self, token: str) -> int:
        """The id of one token given by its text, e.g. "<think>"."""
        data = text_bytes(token)
        out = c_int32()
        call(c.lib.ponder_tokenizer_find, self.handle, data, len(data), byref(out))
        return out.value

    def token(self, id: int) -> bytes:
        """One token's raw bytes, possibly a part of a character."""
        return self._token(id)[0]

    def token_flags(self, id: int) -> int:
        """_native.PONDER_TOKEN_..."""
        return self._token(id)[1]

    def _token(self, id: int) -> tuple[bytes, int]:
        ids, _ = id_array([id])
        data, size, flags = c_void_p(), c_size_t(), c_uint32()
        call(c.lib.ponder_tokenizer_token, self.handle, ids[0], byref(data), byref(size), byref(flags))
        return string_at(data, size.value) if size.value else b"", flags.value


class ChatTemplate(Handle):
    _free = c.lib.ponder_template_free

    def __init__(self, path: Path, *, files: OpenFile | None = None) -> None:
        """The template of a folder or a GGUF file."""
        self._archive: Files | None = None
        if files is None:
            self._handle = handle_of(c.lib.ponder_template_load, path_bytes(path))
        else:
            host = Host()
            pointer, self._archive = files_of(files, host)
            self._handle = handle_of(c.lib.ponder_template_load_files, pointer, path_bytes(path), host=host)

    @classmethod
    def _of(cls, handle: int) -> ChatTemplate:
        self = cls.__new__(cls)
        self._handle = handle
        return self

    @classmethod
    def builtin(cls, name: str) -> ChatTemplate:
        """ "deepseek-v2", "deepseek-v3", "deepseek-r1" or "r1-distill"."""
        return cls._of(handle_of(c.lib.ponder_template_builtin, path_bytes(name)))

    def render(
        self, messages: Messages, *, kwargs: Mapping[str, Any] | None = None, generation_prompt: bool = True
    ) -> str:
        data, more = messages_json(messages), kwargs_json(kwargs)
        flags = 0 if generation_prompt else c.PONDER_CHAT_NO_GENERATION_PROMPT
        return bytes_of(
            c.lib.ponder_template_render, self.handle, data, len(data), more, len(more or b""), flags
        ).decode()
