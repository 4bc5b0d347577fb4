// ponder.hpp over the C ABI: values and errors, exceptions of host functions, lifetimes.
#include "ponder/ponder.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "tests/lib/io/temporary_folder.h"

namespace {

const std::string kTiny = PONDER_MODELS "/ponder-tiny-r1";

ponder::Model tiny() {
  auto model = ponder::Model::load(kTiny);
  REQUIRE_MESSAGE(model, model.error().message());
  return *model;
}

std::vector<std::int32_t> question() {
  std::vector<std::int32_t> ids{256, 258};
  for (unsigned char c : std::string_view("What is 347+85?")) ids.push_back(c);
  ids.insert(ids.end(), {259, 260, 10});
  return ids;
}

template <class T>
T value(ponder::Result<T> result) {
  REQUIRE_MESSAGE(result, result.error().message());
  return std::move(result).value();
}

struct HostFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

TEST_CASE("C++: load, prompt, generate") {
  ponder::Session session = value(tiny().session({.context_length = 128}));  // the model value is gone: it is shared
  (void)value(session.prompt_ids(question()));
  CHECK(session.next_channel() == ponder::Channel::thinking);
  std::string streamed;
  const ponder::Reply reply = session.generate([&](const ponder::Token& token) {
    streamed += token.text;
    return true;
  });
  CHECK(reply.answer == "\\boxed{432}");
  CHECK(streamed == reply.thinking + reply.answer);
  CHECK(reply.finish == PONDER_FINISH_STOP);
  CHECK(!reply.error);
  CHECK(session.stats().prompt_tokens == 20);
  CHECK(value(session.tokens()).size() == 70);
  CHECK(value(session.prompt_logprobs()).size() == 70);
}

TEST_CASE("C++: an error is a value, and value() throws it") {
  auto model = ponder::Model::load("/no/such/folder");
  CHECK(!model);
  CHECK(!model.ok());
  CHECK(model.error().code() == PONDER_E_NOT_FOUND);
  CHECK(model.error().message().find("/no/such/folder") != std::string::npos);
  CHECK_THROWS_AS((void)model.value(), ponder::Error);
  try {
    (void)model.value();
  } catch (const std::exception& e) {
    CHECK(e.what() == model.error().message());
  }
}

TEST_CASE("C++: what a host's function throws comes out of the call that ran it") {
  ponder::LoadOptions options;
  options.progress = [](float) -> bool { throw HostFailure("load"); };
  CHECK_THROWS_WITH_AS((void)ponder::Model::load(kTiny, options), "load", HostFailure);

  ponder::Session session = value(tiny().session({.prefill_chunk = 4}));
  CHECK_THROWS_WITH_AS((void)session.prompt_ids(question(), [](std::size_t, std::size_t) -> bool { throw HostFailure("prefill"); }),
                       "prefill", HostFailure);
  (void)value(session.prompt_ids(question()));
  CHECK_THROWS_WITH_AS((void)session.generate([](const ponder::Token&) -> bool { throw HostFailure("token"); }), "token", HostFailure);
  CHECK_THROWS_WITH_AS((void)session.evaluate(question(), {}, 0, [](const ponder::Session::TensorView&) -> bool { throw HostFailure("tensor"); }),
                       "tensor", HostFailure);
  ponder::GenerateOptions generate;
  generate.sampler = [](std::span<float>) -> std::optional<std::int32_t> { throw HostFailure("sampler"); };
  (void)value(session.set_options(generate));
  (void)value(session.prompt_ids(question()));
  CHECK_THROWS_WITH_AS((void)session.next(), "sampler", HostFailure);
  (void)value(session.set_options({}));  // and the session goes on afterwards
  (void)value(session.prompt_ids(question()));
  CHECK(session.generate().answer == "\\boxed{432}");
}

TEST_CASE("C++: a sampler function chooses, in a fork as well") {
  ponder::Session session = value(tiny().session());
  int n_calls = 0;
  ponder::GenerateOptions generate;
  generate.params.max_new_tokens = 3;
  generate.sampler = [&](std::span<float> logits) -> std::optional<std::int32_t> {
    CHECK(logits.size() == 264);
    return 'a' + n_calls++;
  };
  (void)value(session.set_options(generate));
  (void)value(session.prompt_ids(question()));
  auto fork = std::make_unique<ponder::Session>(value(session.fork()));
  CHECK(session.generate().ids == std::vector<std::int32_t>{'a', 'b', 'c'});
  { const ponder::Session gone = std::move(session); }
  CHECK(fork->generate().ids == std::vector<std::int32_t>{'d', 'e', 'f'});
}

TEST_CASE("C++: stop strings, biases and alternatives reach the session") {
  ponder::Session session = value(tiny().session());
  ponder::GenerateOptions generate;
  generate.stop = {"\\box"};
  generate.params.n_top_logprobs = 2;
  (void)value(session.set_options(generate));
  (void)value(session.prompt_ids(question()));
  std::size_t n_alternatives = 0;
  const ponder::Reply reply = session.generate([&](const ponder::Token& token) {
    n_alternatives += token.top_logprobs.size();
    return true;
  });
  CHECK(reply.answer.empty());
  CHECK(n_alternatives == 2 * reply.ids.size());
  CHECK(value(session.top_logprobs(5)).size() == 5);
  generate = {};
  generate.logit_bias = {{'7', -INFINITY}};
  (void)value(session.set_options(generate));
  (void)value(session.prompt_ids(question()));
  CHECK(value(session.next())->id != '7');
}

TEST_CASE("C++: slices, rewind, save and restore") {
  const ponder::Model model = tiny();
  ponder::Session session = value(model.session({.defer_prefill = true}));
  (void)value(session.prompt_ids(question()));
  ponder::Session::Slice slice;
  std::string text;
  int n_slices = 0;
  while (!slice.done) {
    slice = value(session.step(0));
    ++n_slices;
    if (slice.token) text += slice.token->text;
  }
  CHECK(n_slices > 51);
  CHECK(text.ends_with("\\boxed{432}"));
  (void)value(session.rewind(25));
  const std::string state = value(session.save());
  const std::string path = "ponder_hpp_test.tmp";
  (void)value(session.save_file(path));
  ponder::Session other = value(model.session()), third = value(model.session());
  (void)value(other.restore(state));
  (void)value(third.restore_file(path));
  std::remove(path.c_str());
  const ponder::Reply a = session.generate(), b = other.generate(), c = third.generate();
  CHECK(a.answer == "\\boxed{432}");
  CHECK(a.ids == b.ids);
  CHECK(a.ids == c.ids);
}

TEST_CASE("C++: a model's tokenizer, numbers and plans") {
  const ponder::Model model = tiny();
  const ponder::Tokenizer tokenizer = value(model.tokenizer());
  CHECK(value(tokenizer.encode("<think>", PONDER_ENCODE_SPECIAL)) == std::vector<std::int32_t>{260});
  CHECK(value(tokenizer.decode(std::array<std::int32_t, 2>{'o', 'k'})) == "ok");
  CHECK(value(tokenizer.find("</think>")) == 261);
  CHECK(value(tokenizer.token('x')) == "x");
  CHECK(tokenizer.n_ids() == 263);
  CHECK(value(model.eos_ids()) == std::vector<std::int32_t>{257});
  CHECK(model.info().hidden_size == 128);
  CHECK(model.generate_options().params.max_new_tokens == 160);
  CHECK(value(model.plan({.context_length = 64})).context_length == 64);
  CHECK(value(ponder::Model::inspect(kTiny)).front() == '{');
  CHECK(value(value(ponder::ChatTemplate::builtin("r1-distill")).render(R"([{"role":"user","content":"x"}])")).ends_with("<think>\n"));
}

TEST_CASE("C++: a model is written as GGUF, and a lambda that throws or says no stops it") {
  const ponder::test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "model.gguf";
  CHECK_THROWS_AS((void)ponder::Model::quantize(kTiny, path.string(),
                                                {.progress = [](auto...) -> bool { throw std::runtime_error("no"); }}),
                  std::runtime_error);
  CHECK(ponder::Model::quantize(kTiny, path.string(), {.progress = [](auto...) { return false; }}).error().code() ==
        PONDER_E_CANCELLED);
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(value(ponder::Model::quantize(kTiny, path.string(), {.type = "q8_0"})).starts_with("{\"file_bytes\": "));
  CHECK(std::filesystem::remove(path));
}

TEST_CASE("C++: weights are converted while a model loads") {
  const ponder::Model stored = ponder::Model::load(kTiny).value();
  const ponder::Model made = ponder::Model::load(kTiny, {.weight_type = "q8_0"}).value();
  CHECK(made.info().weight_bytes < stored.info().weight_bytes * 6 / 10);
  CHECK(made.info().n_parameters == stored.info().n_parameters);
}

TEST_CASE("C++: a runtime of one's own is shared by models") {
  auto runtime = ponder::Runtime::create({.n_threads = 1, .max_isa = "ref"});
  REQUIRE(runtime);
  CHECK(runtime->isa() == "ref");
  CHECK(runtime->n_threads() == 1);
  const ponder::Model model = value(ponder::Model::load(kTiny, {.runtime = *runtime}));
  CHECK(model.runtime().get() == runtime->get());
  auto unknown = ponder::Runtime::create({.max_isa = "mmx"});
  CHECK(!unknown);
  CHECK(unknown.error().code() == PONDER_E_INVALID_ARGUMENT);
}
