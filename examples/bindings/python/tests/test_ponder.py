"""What is Python's own about the package; that it computes what C computes is shown by ../../conformance.

usage: python3 test_ponder.py (PONDER_LIBRARY and PYTHONPATH as usual, PONDER_TEST_MODEL: the folder of ponder-tiny-r1)
"""

import asyncio
import ctypes
import gc
import os
import signal
import tempfile
import threading
import unittest
from pathlib import Path

import ponder
from ponder import _arrays, _native

TINY = os.environ.get(
    "PONDER_TEST_MODEL", str(Path(__file__).resolve().parents[4] / "examples/models/ponder-tiny-r1")
)
ENDLESS = {"ignore_eos": True, "context_shift": True, "temperature": 1.0}


class PonderTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = ponder.Model(TINY)

    def session(self, **params):
        session = self.model.session(compute="exact", **params)
        self.addCleanup(session.close)
        return session


class Streams(PonderTest):
    def test_iterating_gives_thinking_and_answer_apart(self):
        events = list(self.session().chat("What is 347+85?"))
        self.assertTrue("".join(e.text for e in events if e.thinking).endswith("347+85=432\n"))
        self.assertEqual("".join(e.text for e in events if not e.thinking), r"\boxed{432}")

    def test_ask_gives_the_whole_reply(self):
        reply = self.session().ask("What is 3*7?")
        self.assertEqual(str(reply), r"\boxed{21}")
        self.assertEqual(reply.finish, ponder.Finish.STOP)
        self.assertEqual(self.session().ask("What is 3*7?", max_new_tokens=2).finish, ponder.Finish.LENGTH)

    def test_async_iteration_gives_the_same_events_while_the_loop_runs(self):
        async def collect():
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0)

            ticking = asyncio.ensure_future(tick())
            events = [event async for event in self.session().achat("What is 347+85?")]
            ticking.cancel()
            return events, ticks

        events, ticks = asyncio.run(collect())
        self.assertEqual(events, list(self.session().chat("What is 347+85?")))
        self.assertGreater(ticks, 0)

    def test_a_cancelled_task_stops_the_model_and_the_session_goes_on(self):
        session = self.session()

        async def run():
            started = asyncio.Event()

            async def forever():
                async for _ in session.achat("What is 3+4?", **ENDLESS):
                    started.set()

            task = asyncio.ensure_future(forever())
            await started.wait()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            return await session.__anext__()

        self.assertIsInstance(asyncio.run(run()), ponder.Event)
        self.assertEqual(session.ask("What is 3*7?", seed=0).answer, r"\boxed{21}")

    def test_generate_stops_where_the_function_says_and_goes_on_later(self):
        whole = self.session().ask("What is 347+85?")
        session = self.session()
        session.prompt("What is 347+85?")
        seen = []

        def take(event):
            seen.append(event)
            return len(seen) < 5

        first = session.generate(take)
        rest = session.generate()
        self.assertEqual(len(first.tokens), 5)
        self.assertEqual(first.tokens + rest.tokens, whole.tokens)

    def test_step_gives_pending_until_the_token_is_there(self):
        session = self.session(defer_prefill=True)
        session.prompt("What is 3*7?")
        ids, pending = [], 0
        while (event := session.step(1)) is not None:
            if event is ponder.PENDING:
                pending += 1
            else:
                ids.append(event.id)
        self.assertGreater(pending, 0)
        self.assertEqual(ids, self.session().ask("What is 3*7?").tokens)

    def test_next_batch_is_what_the_sessions_do_alone(self):
        sessions = [self.session() for _ in range(2)]
        questions = ["What is 3*7?", "What is 347+85?"]
        for session, question in zip(sessions, questions):
            session.prompt(question)
        ids = [[], []]
        while any(events := ponder.next_batch(sessions)):
            for own, event in zip(ids, events):
                if event is not None:
                    own.append(event.id)
        self.assertEqual(ids, [self.session().ask(question).tokens for question in questions])


    def test_a_batch_gives_each_session_what_it_gets_alone(self):
        questions = ["What is 3*7?", "What is 347+85?", "What is 5+31-47?"]
        with ponder.Batch(self.model) as batch:
            sessions = [self.session(defer_prefill=True) for _ in questions]
            ids = {session: [] for session in sessions}
            for session, question in zip(sessions, questions):
                session.prompt(question)
                batch.add(session, priority=1)
            for session, event, error in batch:
                self.assertIsNone(error)
                if event is not None:
                    ids[session].append(event.id)
            batch.remove(sessions[0])
            with self.assertRaises(ponder.NotFoundError):
                batch.set_paused(sessions[0], True)
        self.assertEqual(list(ids.values()), [self.session().ask(question).tokens for question in questions])


class Interrupts(PonderTest):
    """A function that the library calls sends the signal, so that nothing depends on time."""

    def setUp(self):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

    def test_ctrl_c_stops_a_reply_and_the_next_token_is_the_one_that_would_have_come(self):
        whole = self.session().ask("What is 347+85?").tokens
        session = self.session()
        calls = []

        def sampler(logits):
            calls.append(None)
            if len(calls) == 6:
                os.kill(os.getpid(), signal.SIGINT)

        session.set_params(sampler=sampler)
        session.prompt("What is 347+85?")
        ids = []
        with self.assertRaises(KeyboardInterrupt):
            for event in session:
                ids.append(event.id)
        self.assertLess(len(ids), len(whole))
        ids += [event.id for event in session]
        self.assertEqual(ids, whole)

    def test_ctrl_c_ends_one_long_call_that_runs_no_python(self):
        # Another thread sends the signal as soon as the main thread is inside; nothing else would end the call.
        session = self.session()
        session.set_params(**ENDLESS)
        session.prompt("What is 3+4?")

        def send():
            while session._owner == 0:
                pass
            os.kill(os.getpid(), signal.SIGINT)

        sender = threading.Thread(target=send)
        sender.start()
        with self.assertRaises(KeyboardInterrupt):
            with session._in_use() as host:
                session._compute(host, _native.lib.ponder_session_generate, _native.ponder_token_fn(), None, go_on=True)
        sender.join()
        self.assertIsNotNone(session.next())
        self.assertEqual(session.ask("What is 3*7?", seed=0).answer, r"\boxed{21}")

    def test_ctrl_c_stops_a_prompt(self):
        session = self.session(prefill_chunk=4)
        with self.assertRaises(KeyboardInterrupt):
            session.prompt("What is 347+85?", progress=lambda done, total: os.kill(os.getpid(), signal.SIGINT))
        self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")

    def test_functions_run_on_the_thread_that_made_the_call(self):
        names = set()
        session = self.session()

        def run():
            session.ask("What is 3*7?", sampler=lambda logits: names.add(threading.current_thread().name))

        thread = threading.Thread(target=run, name="mine")
        thread.start()
        thread.join()
        self.assertEqual(names, {"mine"})
        names.clear()
        run()
        self.assertEqual(names, {"MainThread"})


class Threads(PonderTest):
    def test_the_gil_is_free_while_the_library_computes(self):
        # One C call that ends only when another Python thread gets to run and cancels it.
        session = self.session()
        session.set_params(**ENDLESS)
        session.prompt("What is 3+4?")
        statuses = []

        def run():
            statuses.append(_native.lib.ponder_session_generate(session.handle, _native.ponder_token_fn(), None, None))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        session.cancel()
        thread.join(timeout=60)
        self.assertEqual(statuses, [_native.PONDER_E_CANCELLED])

    def test_a_second_call_at_the_same_time_is_a_state_error(self):
        session = self.session()
        session.prompt("What is 3+4?")
        with self.assertRaises(ponder.StateError):
            session.generate(lambda event: session.next())
        with self.assertRaises(ponder.StateError):
            session.generate(lambda event: session.close())

    def test_close_stops_what_another_thread_computes(self):
        session = self.session()
        session.set_params(**ENDLESS)
        session.prompt("What is 3+4?")
        running, errors = threading.Event(), []

        def run():
            try:
                session.generate(lambda event: running.set())
            except ponder.CancelledError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        running.wait()
        session.close()
        thread.join()
        self.assertEqual(len(errors), 1)

    def test_an_executor_of_the_host_runs_the_tasks(self):
        calls = []

        def execute(n, task):
            calls.append(n)
            for index in range(n):
                task(index)

        with ponder.Runtime(2, executor=execute) as runtime:
            with ponder.Model(TINY, runtime=runtime).session(compute="exact") as session:
                self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")
        self.assertTrue(calls)


class Errors(PonderTest):
    def test_each_status_has_a_class_with_the_message(self):
        with self.assertRaises(ponder.NotFoundError) as caught:
            ponder.Model("/no/such/folder")
        self.assertEqual(caught.exception.name, "not_found")
        self.assertIn("/no/such/folder", str(caught.exception))
        for name in ("top_k", "seed"):
            with self.assertRaises(ValueError):
                self.session().set_params(**{name: -1})
        with self.assertRaises(ValueError):
            self.model.session(kv_type="f64")

    def test_an_exception_of_a_function_comes_through_as_it_is(self):
        session = self.session()
        session.prompt("What is 3+4?")
        with self.assertRaises(ZeroDivisionError):
            session.generate(lambda event: 1 / 0)
        with self.assertRaises(ZeroDivisionError):
            session.ask("What is 3+4?", sampler=lambda logits: 1 / 0)
        with self.assertRaises(ZeroDivisionError):
            ponder.Model(TINY, progress=lambda fraction: 1 / 0)
        self.assertEqual(session.ask("What is 3*7?", seed=0).answer, r"\boxed{21}")

    def test_a_closed_object_is_refused(self):
        with self.model.session() as session:
            pass
        with self.assertRaises(ponder.InvalidArgumentError):
            session.prompt("What is 3+4?")

    def test_progress_stops_a_load(self):
        with self.assertRaises(ponder.CancelledError):
            ponder.Model(TINY, progress=lambda fraction: False)


class Memory(PonderTest):
    def test_objects_may_go_in_any_order(self):
        runtime = ponder.Runtime(1, log=lambda level, message: None)
        model = ponder.Model(TINY, runtime=runtime)
        session = model.session(compute="exact")
        runtime.close()
        model.close()
        del runtime, model
        gc.collect()
        self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")

    def test_a_memory_limit_is_kept(self):
        with ponder.Runtime(1, memory_limit=3_000_000) as runtime:
            model = ponder.Model(TINY, runtime=runtime)
            self.assertGreater(runtime.memory.weight_bytes, 0)
            with self.assertRaises(MemoryError):
                model.session()

    def test_an_allocator_of_the_host_is_used_and_gets_all_back(self):
        libc = ctypes.CDLL(None)
        libc.aligned_alloc.restype = ctypes.c_void_p
        libc.aligned_alloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        libc.free.argtypes = [ctypes.c_void_p]
        live, wrong, lock = {}, [], threading.Lock()

        def allocate(size, alignment):
            address = libc.aligned_alloc(alignment, (size + alignment - 1) // alignment * alignment)
            with lock:
                live[address] = size
            return address

        def deallocate(address, size, alignment):
            with lock:
                if live.pop(address, None) != size:
                    wrong.append(address)
            libc.free(address)

        runtime = ponder.Runtime(1, allocator=(allocate, deallocate))
        model = ponder.Model(TINY, runtime=runtime)
        with model.session(compute="exact") as session:
            self.assertTrue(live)
            self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")
        model.close()
        runtime.close()
        self.assertEqual((live, wrong), ({}, []))

    def test_a_model_from_memory_answers(self):
        files = {p.name: p.read_bytes() for p in Path(TINY).iterdir() if p.suffix in (".json", ".safetensors")}
        model = ponder.Model.from_memory(files)
        del files
        gc.collect()
        with model.session(compute="exact") as session:
            self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")


    def test_a_model_lies_in_the_hosts_archive(self):
        for opened in (lambda name: (Path(TINY) / name).read_bytes(), lambda name: open(Path(TINY) / name, "rb")):

            def files(name):
                if not name.startswith("models/tiny/"):
                    raise FileNotFoundError(name)
                return opened(name[len("models/tiny/") :])

            model = ponder.Model("models/tiny", files=files)
            with model.session(compute="exact") as session:
                self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")
            self.assertEqual(ponder.Tokenizer("models/tiny", files=files).find("<think>"), 260)
            self.assertIn("<think>", ponder.ChatTemplate("models/tiny", files=files).render("3"))
            self.assertIn("architecture", ponder.inspect("models/tiny", files=files))
            with self.assertRaises(ponder.NotFoundError):
                ponder.Model("models/other", files=files)
            archive = model._archive
            model.close()
            self.assertEqual(archive._files, {})
        with self.assertRaises(ZeroDivisionError):
            ponder.Model("models/tiny", files=lambda name: 1 / 0)

    def test_an_adapter_from_memory_is_the_one_of_the_folder(self):
        folder = Path(__file__).resolve().parents[2] / "conformance/adapter"
        texts = []
        for source in (folder, {p.name: p.read_bytes() for p in folder.iterdir()}):
            session = self.session()
            session.set_adapters((ponder.Adapter(self.model, source), 25.0))  # the session holds it
            gc.collect()
            texts.append(session.ask("What is 3*7?", max_new_tokens=12).tokens)
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], self.session().ask("What is 3*7?", max_new_tokens=12).tokens)

    def test_the_selftest_finds_this_machine_in_order(self):
        self.assertTrue(self.model.runtime.selftest()["ok"])


class Numbers(PonderTest):
    def test_logits_are_arrays(self):
        session = self.session()
        session.prompt("What is 3*7?")
        logits = session.logits()
        self.assertEqual(len(logits), self.model.info.vocab_size)
        self.assertEqual(type(logits).__name__, "ndarray" if _arrays.numpy is not None else "memoryview")
        best = max(range(len(logits)), key=lambda i: logits[i])
        self.assertEqual(best, session.top_logprobs(1)[0].id)
        self.assertEqual(best, session.next().id)

    def test_without_numpy_they_are_memoryviews_of_the_same_shape(self):
        session = self.session()
        before, _arrays.numpy = _arrays.numpy, None
        try:
            tensors = session.evaluate([256, 50, 60], hidden=True)
        finally:
            _arrays.numpy = before
        self.assertEqual(tensors["hidden.0"].shape, (3, self.model.info.hidden_size))
        again = session.evaluate([256, 50, 60], hidden=True)["hidden.0"]
        self.assertEqual(tensors["hidden.0"].tolist(), again.tolist())

    def test_embeddings_are_one_vector_per_input(self):
        session = self.session()
        texts = ["3+4", "347+85", "3+4"]
        vectors = session.embed(texts, normalize=True)
        self.assertEqual(vectors.shape, (3, self.model.info.hidden_size))
        rows = vectors.tolist()
        self.assertEqual(rows[0], rows[2])
        self.assertNotEqual(rows[0], rows[1])
        self.assertAlmostEqual(sum(x * x for x in rows[1]), 1.0, places=5)
        ids = [self.model.tokenizer.encode(text, bos=True) for text in texts]
        self.assertEqual(session.embed(ids, normalize=True).tolist(), rows)
        self.assertEqual(session.embed([]).shape[0], 0)

    def test_a_sampler_may_change_logits_and_choose(self):
        session = self.session()
        digit = self.model.tokenizer.find("7")

        def forbid(logits):
            logits[digit] = float("-inf")

        reply = session.ask("What is 3+4?", max_new_tokens=20, sampler=forbid)
        self.assertNotIn("7", reply.thinking + reply.answer)
        reply = session.ask("What is 3+4?", max_new_tokens=2, sampler=lambda logits: digit)
        self.assertEqual(reply.thinking, "77")


class OpenAi(PonderTest):
    messages = [{"role": "user", "content": "What is 347+85?"}]

    def create(self, **params):
        return ponder.Client(self.model, compute="exact").chat.completions.create(messages=self.messages, **params)

    def test_a_completion_has_reasoning_and_content(self):
        completion = self.create(model="tiny")
        message = completion.choices[0].message
        self.assertEqual(message.content, r"\boxed{432}")
        self.assertTrue(message.reasoning_content.endswith("347+85=432\n"))
        self.assertEqual(completion.choices[0].finish_reason, "stop")
        self.assertEqual(completion.model, "tiny")
        usage = completion.usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)

    def test_a_stream_joins_to_the_completion(self):
        whole = self.create()
        thinking = answer = ""
        for chunk in self.create(stream=True):
            thinking += chunk.choices[0].delta.reasoning_content or ""
            answer += chunk.choices[0].delta.content or ""
        self.assertEqual(thinking, whole.choices[0].message.reasoning_content)
        self.assertEqual(answer, whole.choices[0].message.content)
        self.assertEqual(chunk.choices[0].finish_reason, "stop")
        self.assertEqual(chunk.usage, whole.usage)

    def test_n_choices_differ_by_their_seeds_and_repeat(self):
        def texts():
            done = self.create(n=3, temperature=3.0, seed=5, max_tokens=30)
            return [choice.message.reasoning_content for choice in done.choices]

        first = texts()
        self.assertEqual(len(set(first)), 3)
        self.assertEqual(first, texts())

    def test_stop_limits_and_logprobs(self):
        self.assertEqual(self.create(stop="4").choices[0].message.content, r"\boxed{")
        self.assertEqual(self.create(max_tokens=3).choices[0].finish_reason, "length")
        self.assertEqual(self.create(reasoning_effort="none").choices[0].message.reasoning_content.strip(), "")
        scores = self.create(logprobs=True, top_logprobs=2).choices[0].logprobs.content
        self.assertEqual("".join(score.token for score in scores), r"\boxed{432}")
        self.assertEqual(len(scores[0].top_logprobs), 2)

    def test_a_stream_can_be_left(self):
        with self.create(stream=True) as stream:
            next(stream)
            next(stream)


class Files(PonderTest):
    def test_state_goes_through_a_file(self):
        session = self.session()
        session.prompt("What is 347+85?")
        for _ in range(5):
            session.next()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "state"
            session.save_file(path)
            other = self.session()
            other.restore_file(path)
        self.assertEqual([e.id for e in session], [e.id for e in other])

    def test_quantize_and_imatrix_tell_progress(self):
        with tempfile.TemporaryDirectory() as folder:
            path, seen, chunks = Path(folder) / "q8.gguf", [], []
            ponder.quantize(TINY, path, "q8_0", progress=lambda done, total, tensor: seen.append(tensor))
            self.assertTrue(seen)
            with ponder.Model(path).session(compute="exact") as session:
                self.assertEqual(session.ask("What is 3*7?").answer, r"\boxed{21}")
            report = self.model.imatrix(
                "3+4=7 " * 40, Path(folder) / "m", chunk_tokens=64, progress=lambda done, n: chunks.append(done)
            )
            self.assertEqual(report["n_chunks"], chunks[-1])
            with self.assertRaises(ponder.CancelledError):
                ponder.quantize(TINY, Path(folder) / "never", "q8_0", progress=lambda *_: False)

    def test_inspect_and_list_give_objects(self):
        self.assertIn("architecture", ponder.inspect(TINY))
        self.assertIsInstance(ponder.list_models(), list)
        self.assertEqual(ponder.resolve(TINY), TINY)


if __name__ == "__main__":
    unittest.main()
