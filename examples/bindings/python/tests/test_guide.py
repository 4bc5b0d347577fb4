"""Runs the snippets of docs/python.md, one test each. check_docs.py compares them with the page."""

import asyncio
import os
import tempfile
import unittest
from pathlib import Path

import ponder

TINY = os.environ.get(
    "PONDER_TEST_MODEL", str(Path(__file__).resolve().parents[4] / "examples/models/ponder-tiny-r1")
)


class Guide(unittest.TestCase):
    def test_streaming(self):
        path, thoughts, words = TINY, [], []
        with ponder.Model(path) as model, model.session() as session:
            for event in session.chat("What is 347+85?"):
                (thoughts if event.thinking else words).append(event.text)
        self.assertEqual("".join(words), r"\boxed{432}")
        self.assertTrue(thoughts)

    def test_ask(self):
        model = ponder.Model(TINY)
        session = model.session(context_length=512)
        reply = session.ask("What is 3*7?", temperature=0.6, top_p=0.95, seed=1, think_budget=200)
        print(reply.thinking, reply.answer, reply.finish.name)
        self.assertEqual(reply.answer, r"\boxed{21}")

    def test_conversation(self):
        session = ponder.Model(TINY).session()
        messages = [{"role": "user", "content": "3+4"}]
        reply = session.ask(messages)
        messages += [{"role": "assistant", "content": reply.answer}, {"role": "user", "content": "What is 12*9?"}]
        reply = session.ask(messages)  # what is computed already is not computed again
        self.assertGreater(session.stats.reused_tokens, 0)

    def test_async(self):
        model = ponder.Model(TINY)

        async def answer(question):
            with model.session() as session:
                return "".join([event.text async for event in session.achat(question) if not event.thinking])

        async def main():
            return await asyncio.gather(answer("What is 3*7?"), answer("What is 347+85?"))

        self.assertEqual(asyncio.run(main()), [r"\boxed{21}", r"\boxed{432}"])

    def test_openai(self):
        client = ponder.Client(TINY)
        stream = client.chat.completions.create(
            messages=[{"role": "user", "content": "What is 347+85?"}], stream=True, max_tokens=200
        )
        for chunk in stream:
            delta = chunk.choices[0].delta
            print(delta.reasoning_content or "", delta.content or "", sep="", end="")
        self.assertEqual(chunk.choices[0].finish_reason, "stop")

    def test_errors(self):
        try:
            ponder.Model("/no/such/folder")
        except ponder.NotFoundError as error:
            print(error.name, error)  # not_found /no/such/folder: no such folder
            self.assertEqual(f"{error.name} {error}", "not_found /no/such/folder: no such folder")
        else:
            self.fail("it is there")

    def test_numbers(self):
        session = ponder.Model(TINY).session()
        session.prompt("What is 3*7?")
        logits = session.logits()  # numpy.ndarray, float32, [vocab_size]
        vectors = session.embed(["3+4", "347+85"], normalize=True)  # [2, hidden_size]
        self.assertEqual((len(logits), len(vectors)), (264, 2))

    def test_state(self):
        session = ponder.Model(TINY).session()
        session.prompt("What is 347+85?")
        path = Path(tempfile.mkdtemp()) / "state"
        session.save_file(path)
        other = session.fork()  # shares the memory of what is there
        other.restore_file(path)
        path.unlink()
        path.parent.rmdir()
        self.assertEqual(other.generate().answer, r"\boxed{432}")

    def test_batch(self):
        model = ponder.Model(TINY)
        answers = {}
        with ponder.Batch(model) as batch:
            for question in ("What is 3*7?", "What is 347+85?"):
                session = model.session(defer_prefill=True)
                session.prompt(question)
                batch.add(session)
                answers[session] = ""
            for session, event, error in batch:
                if event and not event.thinking:
                    answers[session] += event.text
        self.assertEqual(list(answers.values()), [r"\boxed{21}", r"\boxed{432}"])

    def test_adapter(self):
        model = ponder.Model(TINY)
        session = model.session()
        folder = Path(__file__).resolve().parents[2] / "conformance/adapter"
        adapter = ponder.Adapter(model, folder)
        session.set_adapters((adapter, 25.0))  # scale 1.0: as it was trained
        changed = session.ask("What is 3*7?", max_new_tokens=60)
        session.set_adapters()  # the model itself
        reply = session.ask("What is 3*7?")
        self.assertNotIn("21", changed.thinking)
        self.assertEqual(reply.answer, r"\boxed{21}")

    def test_prompt_cache(self):
        model = ponder.Model(TINY)
        with tempfile.TemporaryDirectory() as cache:
            with model.session(prompt_cache=cache, prompt_cache_min_tokens=16) as session:
                session.prompt("What is 347+85?")
            with model.session(prompt_cache=cache, prompt_cache_min_tokens=16) as session:
                session.prompt("What is 347+85?")
                print(session.stats.reused_tokens)
                self.assertGreater(session.stats.reused_tokens, 15)


if __name__ == "__main__":
    unittest.main()
