"""client.chat.completions.create(...), as programs for OpenAI's API call it, answered in this process.

Thinking comes as reasoning_content, as DeepSeek's own API does it.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from ._model import Model, Runtime
from ._params import THINK_NONE, Event, Finish, GenerateParams
from ._session import Session


@dataclass
class TopLogprob:
    token: str
    logprob: float


@dataclass
class TokenLogprob:
    token: str
    logprob: float
    top_logprobs: list[TopLogprob]


@dataclass
class Logprobs:
    content: list[TokenLogprob]  # of the answer


@dataclass
class Message:
    content: str
    reasoning_content: str
    role: str = "assistant"


@dataclass
class Delta:
    content: str | None = None
    reasoning_content: str | None = None
    role: str | None = None


@dataclass
class Choice:
    message: Message
    finish_reason: str
    index: int = 0
    logprobs: Logprobs | None = None


@dataclass
class ChunkChoice:
    delta: Delta
    finish_reason: str | None = None
    index: int = 0
    logprobs: Logprobs | None = None


@dataclass
class Usage:
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass
class ChatCompletion:
    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    object: str = "chat.completion"


@dataclass
class ChatCompletionChunk:
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None  # of the last chunk
    object: str = "chat.completion.chunk"


_finish = {Finish.LENGTH: "length", Finish.LOOP: "length"}
_numbers = itertools.count(1)


class Stream:
    """Iterator of chunks; close() or leaving a with block ends it early."""

    def __init__(self, chunks: Iterator[ChatCompletionChunk], session: Session) -> None:
        self._chunks = chunks
        self._session = session

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        return next(self._chunks)

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Completions:
    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        *,
        messages: Sequence[Mapping[str, Any]],
        model: str | None = None,
        stream: bool = False,
        tools: Sequence[Mapping[str, Any]] | None = None,
        max_tokens: int | None = None,
        max_completion_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        n: int = 1,
        logprobs: bool = False,
        top_logprobs: int = 0,
        logit_bias: Mapping[str, float] | None = None,
        reasoning_effort: str | None = None,
        **params: Any,
    ) -> Any:
        """
        A ChatCompletion, or with stream=True a Stream of ChatCompletionChunk. What is not named is as the checkpoint's
        generation_config.json says. reasoning_effort: "none" answers without thinking. params: other fields of
        GenerateParams, e.g. top_k or think_budget.
        """
        settings = self._client.model.generate_params.replace(
            presence_penalty=presence_penalty, frequency_penalty=frequency_penalty, **params
        )
        limit = max_completion_tokens if max_completion_tokens is not None else max_tokens
        if limit is not None:
            settings.max_new_tokens = limit
        if temperature is not None:
            settings.temperature = temperature
        if top_p is not None:
            settings.top_p = top_p
        if stop is not None:
            settings.stop = [stop] if isinstance(stop, str) else list(stop)
        settings.seed = seed if seed is not None else time.time_ns() % 2**63
        if logit_bias:
            settings.logit_bias = {int(id): bias for id, bias in logit_bias.items()}
        if logprobs:
            settings.n_top_logprobs = top_logprobs
        if reasoning_effort == "none":
            settings.think_budget = THINK_NONE
        prompt: Any = {"messages": messages, "tools": tools} if tools else list(messages)
        name = model or self._client.name
        sessions = self._sessions(prompt, settings, max(n, 1))
        head = (f"chatcmpl-{next(_numbers)}", int(time.time()), name)
        if stream:
            return Stream(self._stream(head, sessions, logprobs), sessions[0])
        return self._whole(head, sessions, logprobs)

    def _sessions(self, prompt: Any, settings: GenerateParams, n: int) -> list[Session]:
        first = self._client.model.session(**self._client.session_params)
        try:
            first.set_params(settings)
            first.prompt(prompt)
            sessions = [first]
            for i in range(1, n):
                other = first.fork()
                other.set_params(settings.replace(seed=settings.seed + i))
                sessions.append(other)
            return sessions
        except BaseException:
            first.close()
            raise

    def _whole(self, head: tuple[str, int, str], sessions: list[Session], logprobs: bool) -> ChatCompletion:
        choices = []
        usage = Usage(0, 0, 0, 0)
        for index, session in enumerate(sessions):
            with session:
                content: list[TokenLogprob] = []
                reply = session.generate(
                    lambda event: content.append(self._logprob(event)) if logprobs and event.text and not event.thinking else None
                )
                message = Message(reply.answer, reply.thinking)
                choices.append(
                    Choice(message, _finish.get(reply.finish, "stop"), index, Logprobs(content) if logprobs else None)
                )
                _add(usage, session)
        return ChatCompletion(*head, choices, usage)

    def _stream(
        self, head: tuple[str, int, str], sessions: list[Session], logprobs: bool
    ) -> Iterator[ChatCompletionChunk]:
        usage = Usage(0, 0, 0, 0)
        for index, session in enumerate(sessions):
            with session:
                yield ChatCompletionChunk(*head, [ChunkChoice(Delta(role="assistant"), index=index)])
                for event in session:
                    if not event.text:
                        continue
                    delta = Delta(reasoning_content=event.text) if event.thinking else Delta(content=event.text)
                    scores = Logprobs([self._logprob(event)]) if logprobs and not event.thinking else None
                    yield ChatCompletionChunk(*head, [ChunkChoice(delta, index=index, logprobs=scores)])
                reason = _finish.get(session.finish_reason, "stop")
                _add(usage, session)
                last = session is sessions[-1]
                yield ChatCompletionChunk(
                    *head, [ChunkChoice(Delta(), reason, index)], usage=usage if last else None
                )

    def _logprob(self, event: Event) -> TokenLogprob:
        tokenizer = self._client.tokenizer
        top = [TopLogprob(tokenizer.token(t.id).decode("utf-8", "replace"), t.logprob) for t in event.top_logprobs]
        return TokenLogprob(event.text, event.logprob, top)


def _add(usage: Usage, session: Session) -> None:
    stats = session.stats
    usage.prompt_tokens = stats.prompt_tokens
    usage.cached_tokens = stats.reused_tokens
    usage.completion_tokens += stats.thinking_tokens + stats.answer_tokens + stats.forced_tokens
    usage.reasoning_tokens += stats.thinking_tokens


class Chat:
    def __init__(self, client: Client) -> None:
        self.completions = Completions(client)


class Client:
    """
    client = Client("DeepSeek-R1-Distill-Qwen-1.5B"); client.chat.completions.create(messages=[...], stream=True)

    model: a path, or a Model. session_params: as of Model.session().
    """

    def __init__(self, model: Model | str, *, runtime: Runtime | None = None, **session_params: Any) -> None:
        self.name = model if isinstance(model, str) else "ponder"
        self.model = Model(model, runtime=runtime) if isinstance(model, str) else model
        self.session_params = session_params
        self.chat = Chat(self)
        self.tokenizer = self.model.tokenizer
