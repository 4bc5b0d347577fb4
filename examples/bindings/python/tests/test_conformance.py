"""Every case of ../../conformance/conformance.json through this package: the same tokens, texts and errors as through C."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import ponder

REPOSITORY = Path(__file__).resolve().parents[4]
CASES = REPOSITORY / "examples/bindings/conformance/conformance.json"
NUMBERS = [name for name in ponder.GenerateParams.__dataclass_fields__ if name != "sampler"]
SESSION = ("context_length", "prefill_chunk", "threads", "kv_type", "defer_prefill", "prompt_cache", "prompt_cache_min_tokens")


def event_json(event):
    return [event.id, event.channel.name.lower(), event.forced, event.text]


def alike(got, want):
    """Numbers with a point depend on the instruction set."""
    if isinstance(want, float):
        return abs(got - want) <= 2e-3 * max(1.0, abs(want))
    if isinstance(want, list):
        return len(got) == len(want) and all(map(alike, got, want))
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(alike(got[key], want[key]) for key in want)
    return got == want and isinstance(got, bool) == isinstance(want, bool)


class Case:
    """The objects of one case, and one method per "do"."""

    def __init__(self, temporary):
        self.temporary = temporary
        self.runtime = ponder.Runtime(2)
        self.model = ponder.Model(self.path("$TINY"), runtime=self.runtime)
        self.sessions, self.states, self.adapters = {}, {}, {}

    def path(self, text):
        tiny = f"{REPOSITORY}/examples/models/ponder-tiny-r1"
        text = text.replace("$ADAPTER", f"{REPOSITORY}/examples/bindings/conformance/adapter")
        return text.replace("$TINY", tiny).replace("$DATA", f"{REPOSITORY}/tests/data").replace("$TEMP", self.temporary)

    def run(self, step):
        got = {"status": "ok"}
        self.got = {}
        try:
            returned = getattr(self, "do_" + step["do"])(step, self.sessions.get(step.get("session", "a")))
            got["status"] = returned or "ok"
        except ponder.Error as error:
            message = str(error).replace(str(REPOSITORY), "$REPOSITORY").replace(self.temporary, "$TEMP")
            got = {"status": error.name, "message": message}
        return {**got, **self.got}

    # ---- Session

    def do_session(self, step, _):
        params = {name: step[name] for name in SESSION if name in step}
        if "prompt_cache" in params:
            params["prompt_cache"] = self.path(params["prompt_cache"])
        self.sessions[step.get("session", "a")] = self.model.session(compute="exact", **params)

    def do_params(self, step, session):
        params = {name: step[name] for name in NUMBERS if name in step}
        if "logit_bias" in params:
            params["logit_bias"] = dict(params["logit_bias"])
        session.set_params(**params)

    def do_get_params(self, step, session):
        self.tell_params(session.params)

    def tell_params(self, params):
        self.got = {name: getattr(params, name) for name in NUMBERS}
        self.got["logit_bias"] = [[id, bias] for id, bias in params.logit_bias.items()]

    def do_prompt(self, step, session):
        session.prompt_user(step["text"])

    def chat(self, step):
        return {name: step[name] for name in ("kwargs", "generation_prompt", "trust_content") if name in step}

    def do_prompt_chat(self, step, session):
        session.prompt(step["messages"], **self.chat(step))

    def do_chat_ids(self, step, session):
        self.got["ids"] = session.chat_ids(step["messages"], **self.chat(step))

    def do_prompt_text(self, step, session):
        session.prompt_text(step["text"], special=step["special"])

    def do_prompt_ids(self, step, session):
        session.prompt_ids(step["ids"])

    def do_append_ids(self, step, session):
        session.append_ids(step["ids"])

    def do_next(self, step, session):
        events = self.got["events"] = []
        try:
            for _ in range(step["count"]):
                event = session.next()
                if event is None:
                    return "end"
                events.append(event_json(event))
        finally:
            self.got["finish"] = session.finish_reason.name.lower()

    def do_step(self, step, session):
        ids = self.got["ids"] = []
        while (event := session.step(step["budget_us"])) is not None:
            if event is not ponder.PENDING:
                ids.append(event.id)
        return "end"

    def do_generate(self, step, session):
        seen = []

        def take(event):
            seen.append(event)
            return len(seen) != step.get("stop_after")

        reply = session.generate(take)
        self.got = {"ids": reply.tokens, "thinking": reply.thinking, "answer": reply.answer}
        self.got["finish"] = reply.finish.name.lower()

    def do_next_batch(self, step, _):
        events = ponder.next_batch([self.sessions[name] for name in step["sessions"]])
        self.got["events"] = [
            event_json(e) if isinstance(e, ponder.Event) else "end" if e is None else e.name for e in events
        ]

    def do_batch(self, step, _):
        names = {self.sessions[name]: name for name in step["sessions"]}
        self.got = {name: [] for name in step["sessions"]}
        with ponder.Batch(self.model, token_budget=step.get("token_budget", 0)) as batch:
            for session in names:
                batch.add(session)
            for session, event, _error in batch:
                if event is not None:
                    self.got[names[session]].append(event.id)
        return "end"

    def do_adapter(self, step, _):
        adapter = self.adapters[step["as"]] = ponder.Adapter(self.model, self.path(step["path"]))
        info = adapter.info
        self.got = {name: getattr(info, name) for name in ("max_rank", "n_weights", "n_parameters")}
        self.got["fingerprint"] = str(info.fingerprint)

    def do_set_adapters(self, step, session):
        session.set_adapters(*((self.adapters[name], step["scale"]) for name in step["adapters"]))

    def do_cancel(self, step, session):
        session.cancel()

    def do_next_channel(self, step, session):
        self.got["channel"] = session.next_channel.name.lower()

    def do_fork(self, step, session):
        self.sessions[step["as"]] = session.fork()

    def do_rewind(self, step, session):
        session.rewind(step["n"])

    def do_save(self, step, session):
        self.states[step["as"]] = session.save()

    def do_save_file(self, step, session):
        session.save_file(self.path(step["path"]))

    def do_restore(self, step, session):
        session.restore(self.states[step["state"]][: step.get("bytes")])

    def do_restore_file(self, step, session):
        session.restore_file(self.path(step["path"]))

    def do_tokens(self, step, session):
        self.got["ids"] = session.tokens

    def do_stats(self, step, session):
        names = ["context_length", "n_tokens", "prompt_tokens", "reused_tokens", "thinking_tokens", "answer_tokens",
                 "forced_tokens"]  # fmt: skip
        self.got = {name: getattr(session.stats, name) for name in names}

    # ---- Numbers

    def do_logits(self, step, session):
        logits = session.logits()
        self.got = {"size": len(logits), "first": logits[:8].tolist()}

    def do_top_logprobs(self, step, session):
        self.got["top"] = [list(one) for one in session.top_logprobs(step["n"])]

    def do_prompt_logprobs(self, step, session):
        self.got["logprobs"] = session.prompt_logprobs().tolist()

    def do_embed(self, step, session):
        vectors = session.embed(
            step.get("texts", step.get("inputs")), pooling=step.get("pooling"), normalize=step.get("normalize", False)
        )
        self.got = {"hidden_size": vectors.shape[1], "rows": [row[:4] for row in vectors.tolist()]}

    def do_evaluate(self, step, session):
        params = {name: step[name] for name in ("last", "hidden", "moe", "mtp_next_ids") if name in step}
        tensors = session.evaluate(step["ids"], **params)
        self.got["shapes"] = {name: list(tensor.shape) for name, tensor in tensors.items()}

    # ---- Model

    def do_copy(self, step, _):
        shutil.copytree(self.path(step["from"]), self.path(step["to"]))
        with open(Path(self.path(step["to"])) / step["file"], "r+b") as file:
            file.truncate(step["bytes"])

    def loaded(self, model):
        self.model = model
        names = ["vocab_size", "hidden_size", "num_hidden_layers", "n_parameters", "has_tokenizer", "has_chat_template",
                 "has_mtp"]  # fmt: skip
        self.got = {name: getattr(model.info, name) for name in names}
        self.got.update(fingerprint=str(model.info.fingerprint), warnings=len(model.load_report))

    def load_params(self, step):
        params = {name: step[name] for name in ("weight_type", "mtp") if name in step}
        if step.get("progress_stops"):
            params["progress"] = lambda fraction: False
        return {"runtime": self.runtime, **params}

    def do_load(self, step, _):
        self.loaded(ponder.Model(self.path(step["path"]), **self.load_params(step)))

    def do_load_memory(self, step, _):
        files = {name: (Path(self.path(step["path"])) / name).read_bytes() for name in step["files"]}
        self.loaded(ponder.Model.from_memory(files, **self.load_params(step)))

    def do_random(self, step, _):
        config = Path(self.path(step["config"])).read_text()
        self.loaded(ponder.Model.random(config, step["dtype"], seed=step["seed"], runtime=self.runtime))

    def do_plan(self, step, _):
        plan = self.model.plan(context_length=step["context_length"], compute="exact")
        self.got = {name: getattr(plan, name) for name in ("context_length", "weight_bytes", "kv_bytes")}

    def do_generate_params(self, step, _):
        self.tell_params(self.model.generate_params)

    def do_eos_ids(self, step, _):
        self.got["ids"] = self.model.eos_ids

    def do_inspect(self, step, _):
        self.got["architecture"] = ponder.inspect(self.path(step["path"]))["architecture"]

    def do_resolve(self, step, _):
        self.got["path"] = ponder.resolve(self.path(step["name"])).replace(str(REPOSITORY), "$REPOSITORY")

    def do_quantize(self, step, _):
        report = ponder.quantize(self.path(step["path"]), self.path(step["to"]), step["type"], runtime=self.runtime)
        self.got["n_tensors"] = report["n_tensors"]

    def do_imatrix(self, step, _):
        report = self.model.imatrix(step["text"], self.path(step["to"]), chunk_tokens=step.get("chunk_tokens", 0))
        self.got["n_chunks"] = report["n_chunks"]

    def do_runtime(self, step, _):
        runtime = ponder.Runtime(
            step.get("threads", 0), max_isa=step.get("max_isa"), memory_limit=step.get("memory_limit", 0)
        )
        self.got = {"isa": runtime.isa, "threads": runtime.threads, "limit_bytes": runtime.memory.limit_bytes}

    # ---- Text

    def do_render(self, step, _):
        template = ponder.ChatTemplate.builtin(step["template"]) if "template" in step else self.model.template
        params = {name: step[name] for name in ("kwargs", "generation_prompt") if name in step}
        self.got["text"] = template.render(step["messages"], **params)

    def do_template_load(self, step, _):
        ponder.ChatTemplate(self.path(step["path"]))

    def tell_tokenizer(self, tokenizer):
        names = ["n_ids", "bos_token_id", "eos_token_id", "think_start_id", "think_end_id", "adds_bos"]
        self.got = {name: getattr(tokenizer.info, name) for name in names}

    def do_tokenizer_info(self, step, _):
        self.tell_tokenizer(self.model.tokenizer)

    def do_tokenizer_load(self, step, _):
        self.tell_tokenizer(ponder.Tokenizer(self.path(step["path"])))

    def do_encode(self, step, _):
        params = {name: step[name] for name in ("special", "bos") if name in step}
        self.got["ids"] = self.model.tokenizer.encode(step["text"], **params)

    def do_decode(self, step, _):
        self.got["text"] = self.model.tokenizer.decode(step["ids"], skip_special=step.get("skip_special", False))

    def do_find(self, step, _):
        self.got["id"] = self.model.tokenizer.find(step["text"])

    def do_token(self, step, _):
        tokenizer = self.model.tokenizer
        self.got = {"bytes": list(tokenizer.token(step["id"])), "flags": tokenizer.token_flags(step["id"])}


class Conformance(unittest.TestCase):
    def test_every_case(self):
        for case in json.loads(CASES.read_text(encoding="utf-8")):
            with tempfile.TemporaryDirectory() as temporary:
                run = Case(temporary)
                for number, step in enumerate(case["steps"], 1):
                    with self.subTest(case["name"], step=number, do=step["do"]):
                        got = run.run(step)
                        self.assertTrue(alike(got, step["want"]), f"got    {got}\nwanted {step['want']}")


if __name__ == "__main__":
    unittest.main()
