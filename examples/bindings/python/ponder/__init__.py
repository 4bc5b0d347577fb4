"""ponder: DeepSeek models inside your program.

    import ponder

    with ponder.Model("DeepSeek-R1-Distill-Qwen-1.5B") as model, model.session() as session:
        for event in session.chat("Why is the sky blue?"):
            if not event.thinking:
                print(event.text, end="", flush=True)
"""

from . import _native
from ._adapter import Adapter
from ._batch import Batch, BatchEvent
from ._errors import (
    BadFileError,
    BufferTooSmallError,
    CallbackError,
    CancelledError,
    ContextFullError,
    DeviceError,
    Error,
    InternalError,
    InvalidArgumentError,
    IoError,
    NotFoundError,
    NoTokenizerError,
    NumericError,
    OutOfMemoryError,
    StateError,
    TemplateError,
    UnsupportedError,
    status_name,
)
from ._model import Model, Runtime, default_runtime, inspect, list_models, quantize, resolve
from ._params import (
    THINK_NONE,
    AdapterInfo,
    Channel,
    Event,
    Finish,
    GenerateParams,
    Logprob,
    LogLevel,
    MemoryInfo,
    MemoryPlan,
    ModelInfo,
    Reply,
    SessionParams,
    SessionStats,
    TokenizerInfo,
)
from ._session import PENDING, Pending, Session, next_batch
from ._text import ChatTemplate, Tokenizer
from .openai import Client

__version__: str = _native.lib.ponder_version().decode()


def abi_version() -> int:
    """PONDER_ABI_VERSION of the loaded library."""
    return int(_native.lib.ponder_abi_version())


__all__ = [
    "Adapter", "AdapterInfo", "BadFileError", "Batch", "BatchEvent", "BufferTooSmallError", "CallbackError", "CancelledError", "Channel", "ChatTemplate", "Client",
    "ContextFullError", "DeviceError", "Error", "Event", "Finish", "GenerateParams", "InternalError",
    "InvalidArgumentError", "IoError", "LogLevel", "Logprob", "MemoryInfo", "MemoryPlan", "Model", "ModelInfo",
    "NoTokenizerError", "NotFoundError", "NumericError", "OutOfMemoryError", "PENDING", "Pending", "Reply", "Runtime",
    "Session", "SessionParams", "SessionStats", "StateError", "THINK_NONE", "TemplateError", "Tokenizer",
    "TokenizerInfo", "UnsupportedError", "abi_version", "default_runtime", "inspect", "list_models", "next_batch",
    "quantize", "resolve", "status_name",
]  # fmt: skip
