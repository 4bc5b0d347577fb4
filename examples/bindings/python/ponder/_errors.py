"""One exception class per status. Each carries the status, its name and the library's message."""

from __future__ import annotations

from . import _native as c


class Error(Exception):
    """A call into ponder failed. `status` is the number of ponder.h, `name` its word, str() the message."""

    status: int = c.PONDER_E_INTERNAL

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status

    @property
    def name(self) -> str:
        return status_name(self.status)


class InvalidArgumentError(Error, ValueError):
    status = c.PONDER_E_INVALID_ARGUMENT


class OutOfMemoryError(Error, MemoryError):
    status = c.PONDER_E_OUT_OF_MEMORY


class IoError(Error, OSError):
    status = c.PONDER_E_IO


class NotFoundError(Error, LookupError):
    status = c.PONDER_E_NOT_FOUND


class BadFileError(Error):
    status = c.PONDER_E_BAD_FILE


class UnsupportedError(Error):
    status = c.PONDER_E_UNSUPPORTED


class StateError(Error):
    status = c.PONDER_E_STATE


class ContextFullError(Error):
    status = c.PONDER_E_CONTEXT_FULL


class CancelledError(Error):
    status = c.PONDER_E_CANCELLED


class NoTokenizerError(Error):
    status = c.PONDER_E_NO_TOKENIZER


class TemplateError(Error):
    status = c.PONDER_E_TEMPLATE


class NumericError(Error, ArithmeticError):
    status = c.PONDER_E_NUMERIC


class BufferTooSmallError(Error):
    status = c.PONDER_E_BUFFER_TOO_SMALL


class CallbackError(Error):
    status = c.PONDER_E_CALLBACK


class DeviceError(Error):
    status = c.PONDER_E_DEVICE


class InternalError(Error):
    status = c.PONDER_E_INTERNAL


_classes = {
    cls.status: cls
    for cls in (
        InvalidArgumentError,
        OutOfMemoryError,
        IoError,
        NotFoundError,
        BadFileError,
        UnsupportedError,
        StateError,
        ContextFullError,
        CancelledError,
        NoTokenizerError,
        TemplateError,
        NumericError,
        BufferTooSmallError,
        CallbackError,
        DeviceError,
        InternalError,
    )
}


def status_name(status: int) -> str:
    """The status as a word, e.g. "context_full"."""
    name: bytes = c.lib.ponder_status_name(status)
    return name.decode()


def error_of(status: int, message: bytes) -> Error:
    cls = _classes.get(status, Error)
    return cls(message.decode("utf-8", "replace") or status_name(status), status)
