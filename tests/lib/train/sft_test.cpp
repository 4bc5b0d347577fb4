// Fine-tuning: examples from text, steps that lower the loss, runs that go on where they were saved, models written out.
#include "lib/train/sft.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/io/output_file.h"
#include "tests/lib/io/temporary_folder.h"
#include "tests/lib/train/train_fixture.h"

namespace ponder::test {
namespace {

std::shared_ptr<const Model> tiny_r1() {
  auto model = Model::load(path_source(PONDER_MODELS "/ponder-tiny-r1"), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

std::vector<SftExample> random_examples(const Parameters& parameters, std::size_t n) {
  std::vector<SftExample> examples;
  for (std::size_t i = 0; i < n; ++i) examples.push_back({random_ids(parameters, 8 + i % 5, 100 + i), 3});
  return examples;
}

std::unique_ptr<SftTrainer> trainer_of(const Context& ctx, const char* name, std::span<const SftExample> examples,
                                       const SftOptions& options) {
  auto trainer = SftTrainer::create(ctx, fixture_model(name), examples, options);
  REQUIRE_MESSAGE(trainer.ok(), trainer.status().message());
  return std::move(trainer).value();
}

SftStep step_of(SftTrainer& trainer) {
  auto step = trainer.step();
  REQUIRE_MESSAGE(step.ok(), step.status().message());
  return *step;
}

bool same_values(const Parameters& a, const Parameters& b) {
  return a.size() == b.size() && std::memcmp(a.values(), b.values(), a.size() * sizeof(float)) == 0;
}

SftOptions quick_options() {
  SftOptions options;
  options.batch_size = 4;
  options.learning_rate.peak = 3e-3;
  options.gate_bias_speed = 1e-3;
  return options;
}

}  // namespace

TEST_CASE("AdamW: one step by hand, the bound on the norm, and what is left alone") {
  Workers workers;
  const auto parameters = parameters_of(workers.ctx, "v3-tiny");
  const std::vector<float> before(parameters->values(), parameters->values() + parameters->size());
  AdamW adam = AdamW::create(workers.ctx, *parameters).value();
  std::vector<float> gradients(parameters->size());
  const ParameterTensor& matrix = *parameters->find("model.layers.0.self_attn.o_proj.weight");
  const ParameterTensor& norm = *parameters->find("model.norm.weight");
  gradients[matrix.offset] = 3;
  gradients[norm.offset] = 4;
  AdamWOptions options;
  options.weight_decay = 0.1;
  const double rate = 1e-2;
  const auto run = [&] { return adam.step(workers.ctx, *parameters, gradients.data(), options, rate); };
  OptimizerStep step = run();
  CHECK(step.gradient_norm == doctest::Approx(5));
  CHECK_FALSE(step.skipped);
  // The first step is rate sign(g), whatever the gradient's size; decay is of the matrix only, its other values too.
  CHECK(parameters->values()[matrix.offset] == doctest::Approx(before[matrix.offset] * (1 - rate * 0.1) - rate).epsilon(1e-5));
  CHECK(parameters->values()[matrix.offset + 1] == doctest::Approx(before[matrix.offset + 1] * (1 - rate * 0.1)).epsilon(1e-5));
  CHECK(parameters->values()[norm.offset] == doctest::Approx(before[norm.offset] - rate).epsilon(1e-5));
  CHECK(parameters->values()[norm.offset + 1] == before[norm.offset + 1]);
  CHECK(adam.first_moments()[norm.offset] == doctest::Approx(0.1 * 4 / 5).epsilon(1e-4));  // bounded to norm 1
  CHECK(adam.second_moments()[norm.offset] == doctest::Approx(0.02 * 0.64).epsilon(1e-4));
  std::size_t n_changed = 0;
  for (const ParameterTensor& tensor : parameters->tensors())
    n_changed += std::memcmp(parameters->values() + tensor.offset, before.data() + tensor.offset, tensor.size * sizeof(float)) != 0;
  CHECK(n_changed == 2);

  const std::vector<float> after(parameters->values(), parameters->values() + parameters->size());
  gradients[norm.offset] = std::numeric_limits<float>::infinity();
  CHECK(run().skipped);
  gradients.assign(gradients.size(), 0);
  step = run();
  CHECK(step.gradient_norm == 0);
  CHECK(std::memcmp(parameters->values(), after.data(), after.size() * sizeof(float)) == 0);

  const LearningRate schedule{.peak = 1, .warmup_steps = 4, .decay_steps = 14, .final_fraction = 0.1};
  CHECK(schedule.at(0) == doctest::Approx(0.25));
  CHECK(schedule.at(3) == doctest::Approx(1));
  CHECK(schedule.at(9) == doctest::Approx(0.55));
  CHECK(schedule.at(14) == doctest::Approx(0.1));
  CHECK(schedule.at(99) == doctest::Approx(0.1));

  float bias[] = {0, 0, 0};
  const std::int64_t loads[] = {1, 2, 3};
  move_gate_bias(bias, loads, 0.5);
  CHECK(bias[0] == 0.5f);
  CHECK(bias[1] == 0);
  CHECK(bias[2] == -0.5f);
}

TEST_CASE("SFT: examples are what a session would see, and the completion that follows") {
  const auto model = tiny_r1();
  const Tokenizer& tokenizer = *model->tokenizer();
  const auto read = [&](std::string_view text) { return read_sft_examples(text, *model, "tasks.jsonl"); };
  const auto examples = read(
      "{\"prompt\": \"What is 1+2?\", \"completion\": \"1+2=3\\n</think>\\n\\n\\\\boxed{3}\"}\n\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"</think>\"}, {\"role\": \"assistant\", \"content\": \"7\"}]}");
  REQUIRE_MESSAGE(examples.ok(), examples.status().message());
  REQUIRE(examples->size() == 2);
  const auto text_of = [&](const SftExample& example, bool completion) {
    const std::span<const TokenId> ids(example.token_ids);
    return tokenizer.decode(completion ? ids.subspan(example.first_completion) : ids.first(example.first_completion), false).value();
  };
  const SftExample& first = (*examples)[0];
  CHECK(text_of(first, false) == tokenizer.bos_text() + "<｜User｜>What is 1+2?<｜Assistant｜><think>\n");
  CHECK(text_of(first, true) == "1+2=3\n</think>\n\n\\boxed{3}" + tokenizer.eos_text());
  CHECK(std::count(first.token_ids.begin(), first.token_ids.end(), *tokenizer.find("</think>")) == 1);
  CHECK(first.token_ids.back() == *tokenizer.eos());
  // What a user says cannot inject a token.
  const SftExample& second = (*examples)[1];
  CHECK(std::count(second.token_ids.begin(), second.token_ids.end(), *tokenizer.find("</think>")) == 0);
  CHECK(text_of(second, true) == "7" + tokenizer.eos_text());

  const auto message_of = [&](std::string_view text) { return read(text).status().message(); };
  CHECK(message_of("\n") == "tasks.jsonl holds no examples");
  CHECK(message_of("{\"prompt\": 1, \"completion\": \"\"}") ==
        "tasks.jsonl line 1: wanted \"prompt\" and \"completion\" as text, or \"messages\"");
  CHECK(message_of("\n{\"messages\": []}") == "tasks.jsonl line 2: \"messages\" wants a list of at least one message");
  CHECK(message_of("{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}").find("\"assistant\"") != std::string::npos);
  CHECK(message_of("{").find("tasks.jsonl line 1") == 0);
  CHECK(message_of("[]").find("tasks.jsonl line 1: wanted") == 0);
  CHECK(read_sft_examples("{}", *fixture_model("v3-tiny"), "x").status().code() == Code::no_tokenizer);
}

TEST_CASE("SFT: the loss falls, whatever the size of a pass") {
  Workers workers;
  const auto parameters = parameters_of(workers.ctx, "v3-tiny");
  const std::vector<SftExample> examples = random_examples(*parameters, 4);
  SftOptions options = quick_options();
  const auto whole = trainer_of(workers.ctx, "v3-tiny", examples, options);
  options.micro_tokens = 1;  // one example a pass
  const auto split = trainer_of(workers.ctx, "v3-tiny", examples, options);
  const SftStep first = step_of(*whole), first_split = step_of(*split);
  CHECK(first.step == 1);
  CHECK(first.loss > 5);  // log 320 = 5.77 for a model that knows nothing
  CHECK(first_split.loss == doctest::Approx(first.loss).epsilon(1e-5));
  CHECK(first_split.gradient_norm == doctest::Approx(first.gradient_norm).epsilon(1e-3));
  CHECK(first.tokens == 8 + 9 + 10 + 11);
  CHECK(first.completion_tokens == first.tokens - 4 * 3);
  double loss = 0;
  for (int i = 0; i < 40; ++i) loss = step_of(*whole).loss;
  CHECK(loss < 0.5 * first.loss);
}

TEST_CASE("SFT: the same bits for any number of threads") {
  Workers one(1), two(2);
  const auto parameters = parameters_of(one.ctx, "v3-tiny");
  const std::vector<SftExample> examples = random_examples(*parameters, 6);
  const auto alone = trainer_of(one.ctx, "v3-tiny", examples, quick_options());
  const auto shared = trainer_of(two.ctx, "v3-tiny", examples, quick_options());
  for (int i = 0; i < 3; ++i) CHECK(step_of(*alone).loss == step_of(*shared).loss);
  CHECK(same_values(alone->parameters(), shared->parameters()));
  CHECK_FALSE(same_values(alone->parameters(), *parameters));
}

TEST_CASE("SFT: a run that was saved and restored goes on bit for bit") {
  Workers workers;
  TemporaryFolder folder;
  const auto parameters = parameters_of(workers.ctx, "v3-tiny");
  const std::vector<SftExample> examples = random_examples(*parameters, 10);
  SftOptions options = quick_options();
  const auto straight = trainer_of(workers.ctx, "v3-tiny", examples, options);
  for (int i = 0; i < 3; ++i) step_of(*straight);
  const auto path = folder.path() / "run.safetensors";
  REQUIRE(straight->save(path).ok());
  for (int i = 0; i < 3; ++i) step_of(*straight);

  const auto resumed = trainer_of(workers.ctx, "v3-tiny", examples, options);
  const Status status = resumed->restore(path);
  REQUIRE_MESSAGE(status.ok(), status.message());
  CHECK(resumed->steps_done() == 3);
  for (int i = 0; i < 3; ++i) step_of(*resumed);
  CHECK(same_values(straight->parameters(), resumed->parameters()));
  step_of(*resumed);
  CHECK_FALSE(same_values(straight->parameters(), resumed->parameters()));

  // Refused, and left as it was.
  const std::vector<float> before(resumed->parameters().values(), resumed->parameters().values() + resumed->parameters().size());
  const auto unchanged = [&] {
    return std::memcmp(resumed->parameters().values(), before.data(), before.size() * sizeof(float)) == 0;
  };
  const auto other_model = trainer_of(workers.ctx, "v2-tiny", random_examples(*parameters, 1), options);
  REQUIRE(other_model->save(folder.path() / "other.safetensors").ok());
  CHECK(resumed->restore(folder.path() / "other.safetensors").code() == Code::bad_file);
  CHECK(resumed->restore(folder.path() / "missing.safetensors").code() == Code::not_found);
  REQUIRE(write_file(folder.path() / "cut.safetensors", std::as_bytes(std::span("garbage"))).ok());
  CHECK(resumed->restore(folder.path() / "cut.safetensors").code() == Code::bad_file);
  options.seed = 9;
  const auto other_seed = trainer_of(workers.ctx, "v3-tiny", examples, options);
  CHECK(other_seed->restore(path).code() == Code::invalid_argument);
  CHECK(unchanged());
}

TEST_CASE("SFT: a cancelled step changes nothing; bad options are refused") {
  Workers workers;
  const auto parameters = parameters_of(workers.ctx, "v3-tiny");
  const std::vector<SftExample> examples = random_examples(*parameters, 4);
  std::atomic<bool> cancel{true};
  workers.ctx.cancel = &cancel;
  const auto trainer = trainer_of(workers.ctx, "v3-tiny", examples, quick_options());
  CHECK(trainer->step().status().code() == Code::cancelled);
  CHECK(trainer->steps_done() == 0);
  CHECK(same_values(trainer->parameters(), *parameters));
  cancel = false;
  CHECK(trainer->step().ok());
  CHECK_FALSE(same_values(trainer->parameters(), *parameters));

  const auto refused = [&](std::span<const SftExample> some, SftOptions options) {
    return SftTrainer::create(workers.ctx, fixture_model("v3-tiny"), some, options).status().code() == Code::invalid_argument;
  };
  CHECK(refused({}, {}));
  SftOptions options;
  options.batch_size = 0;
  CHECK(refused(examples, options));
  const SftExample no_completion[] = {{{1, 2, 3}, 3}};
  CHECK(refused(no_completion, {}));
}

TEST_CASE("a trained model is written as a folder that loads") {
  Workers workers;
  TemporaryFolder folder;
  const auto source = path_source(PONDER_MODELS "/ponder-tiny-r1");
  const auto parameters = Parameters::create(workers.ctx, tiny_r1()).value();
  parameters->values()[parameters->find("model.norm.weight")->offset] = 0.7123f;
  for (const DType type : {DType::f32, DType::bf16}) {
    CAPTURE(dtype_name(type));
    const auto path = folder.path() / std::string(dtype_name(type));
    const Status status = write_model(*parameters, *source, path, type);
    REQUIRE_MESSAGE(status.ok(), status.message());
    auto loaded = Model::load(path_source(path), {});
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().message());
    CHECK((*loaded)->load_report().warnings.empty());
    CHECK((*loaded)->tokenizer());
    CHECK((*loaded)->chat_template());
    const auto back = Parameters::create(workers.ctx, *loaded).value();
    REQUIRE(back->size() == parameters->size());
    for (const ParameterTensor& tensor : parameters->tensors()) {
      std::size_t n_wrong = 0;
      for (std::size_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
        const float want = parameters->values()[i];
        const bool halved = type == DType::bf16 && tensor.trained;
        n_wrong += back->values()[i] != (halved ? bf16_to_f32(f32_to_bf16(want)) : want);
      }
      CAPTURE(tensor.name);
      CHECK(n_wrong == 0);
    }
  }
  CHECK(write_model(*parameters, *source, folder.path() / "x", DType::q8_0).code() == Code::invalid_argument);
  CHECK(write_model(*parameters, *path_source(PONDER_TEST_DATA "/gguf/v3-tiny.bf16.gguf"), folder.path() / "x", DType::f32).code() ==
        Code::unsupported);
}

}  // namespace ponder::test
