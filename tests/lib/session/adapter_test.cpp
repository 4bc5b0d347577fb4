// Adapters against the checkpoint that has them merged in, alone and together, in every form of base weights.
#include <algorithm>

#include "lib/session/scheduler.h"
#include "tests/golden/golden_fixture.h"
#include "tests/lib/model/random_adapter.h"
#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

std::unique_ptr<Session> session_of(std::shared_ptr<const Model> model, const SessionParams& params = {}, int n_threads = 2) {
  auto session = Session::create(test_runtime(n_threads), std::move(model), params);
  REQUIRE_MESSAGE(session.ok(), session.status().message());
  return std::move(session).value();
}

void go_on_behind_end(Session& session) {
  GenerateParams params;
  params.ignore_eos = true;
  REQUIRE(session.set_generate_params(params).ok());
}

void attach(Session& session, std::vector<AdapterUse> uses) {
  const Status status = session.set_adapters(uses);
  REQUIRE_MESSAGE(status.ok(), status.message());
}

class Logits final : public TensorSink {
 public:
  bool on_f32(const std::string& name, std::span<const float> data, std::span<const std::int64_t>) override {
    if (name == "logits") values.assign(data.begin(), data.end());
    return true;
  }
  bool on_i32(const std::string&, std::span<const std::int32_t>, std::span<const std::int64_t>) override { return true; }
  std::vector<float> values;
};

// Of all positions.
std::vector<float> logits(Session& session, std::span<const TokenId> ids) {
  Logits sink;
  const Status status = session.evaluate(ids, {}, {}, sink);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return sink.values;
}

std::vector<TokenId> some_ids(const Model& model, std::size_t n = 70) {
  std::vector<TokenId> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<TokenId>(i * 37 % static_cast<std::size_t>(model.config().vocab_size));
  return ids;
}

double worst_of(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double found = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double ratio = std::abs(double{a[i]} - double{b[i]}) / (1 + std::abs(double{b[i]}));
    if (!(ratio <= found)) found = ratio;
  }
  return found;
}

std::shared_ptr<const Model> load_model(const std::string& fixture, const LoadOptions& options = {}) {
  auto model = Model::load(folder_source(PONDER_TEST_DATA "/models/" + fixture), options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

// Logits of the merged checkpoint.
std::vector<float> reference(const Editable& checkpoint, const Model& model, const std::vector<Merge>& merges) {
  const Files files = merged(checkpoint, model, merges);
  const auto loaded = load_files(files);
  REQUIRE_MESSAGE(loaded.ok(), loaded.status().message());
  return logits(*session_of(*loaded), some_ids(model));
}

constexpr double kTolerance = 2e-4;

struct Case {
  explicit Case(const std::string& fixture, unsigned seed = 1)
      : checkpoint(fixture), model(load_model(fixture)), adapter(checkpoint, *model, seed), loaded(adapter.load(model)) {}
  Editable checkpoint;
  std::shared_ptr<const Model> model;
  RandomAdapter adapter;
  std::shared_ptr<const Adapter> loaded;
};

}  // namespace

TEST_CASE("adapter: on every linear layer of every architecture it gives the logits of the merged checkpoint") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "qwen2-tied-tiny", "llama3-tiny",
                           "v3-odd-tiny", "v2-odd-tiny", "llama-odd-tiny"}) {
    CAPTURE(name);
    const Case c(name);
    auto session = session_of(c.model);
    const auto ids = some_ids(*c.model);
    const std::vector<float> base = logits(*session, ids), want = reference(c.checkpoint, *c.model, {{&c.adapter, 1}});
    attach(*session, {{c.loaded, 1}});
    const std::vector<float> got = logits(*session, ids);
    CHECK(worst_of(got, want) < kTolerance);
    CHECK(worst_of(base, want) > 100 * kTolerance);
  }
}

TEST_CASE("adapter: on each kind of layer alone") {
  for (const char* name : {"v2-tiny", "v3-tiny", "qwen2-tied-tiny"}) {
    const Editable checkpoint(name);
    const auto model = load_model(name);
    for (const char* kind : {"q_proj", "k_proj", "v_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj",
                             "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "shared_experts.gate_proj",
                             "shared_experts.down_proj", ".3.up_proj", ".1.gate_proj", ".2.down_proj", "lm_head"}) {
      const RandomAdapter adapter(checkpoint, *model, 5, [&](const std::string& layer) { return layer.ends_with(kind); });
      if (adapter.parts.empty()) continue;
      CAPTURE(name);
      CAPTURE(kind);
      auto session = session_of(model);
      attach(*session, {{adapter.load(model), 1}});
      CHECK(worst_of(logits(*session, some_ids(*model)), reference(checkpoint, *model, {{&adapter, 1}})) < kTolerance);
    }
  }
}

TEST_CASE("adapter: absorbed and expanded MLA, every instruction set") {
  using ponder::kernels::Isa;
  for (const char* name : {"v2lite-tiny", "v3-tiny"}) {
    CAPTURE(name);
    const Case c(name);
    const std::vector<float> want = reference(c.checkpoint, *c.model, {{&c.adapter, 1}});
    const AdapterUse use{c.loaded, 1};
    const auto set = AdapterSet::create(*c.model, {&use, 1}).value();
    const auto ids = some_ids(*c.model);
    for (const Isa isa : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512bf16})
      for (const MlaForm form : {MlaForm::absorbed, MlaForm::expanded}) {
        if (!ponder::kernels::isa_supported(isa) || isa > test_isa()) continue;
        CAPTURE(ponder::kernels::isa_name(isa));
        Pass pass(*c.model, 100, isa, form);
        REQUIRE(pass.forward().set_low_ranks(&set->low_ranks()).ok());
        KvCache kv = cache_for(*c.model, ids.size());
        const Tensor got = pass.run(ids, kv);
        CHECK(worst_of({got.data, got.data + got.n_rows * got.n_cols}, want) < kTolerance);
      }
  }
}

TEST_CASE("adapter: several at once, each with its scale") {
  for (const char* name : {"v3-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const Case c(name);
    const RandomAdapter second(c.checkpoint, *c.model, 2, [](const std::string& layer) { return layer.find("mlp") != layer.npos; });
    const RandomAdapter third(c.checkpoint, *c.model, 3);
    auto session = session_of(c.model);
    attach(*session, {{c.loaded, 0.5f}, {second.load(c.model), -1.5f}, {third.load(c.model), 0.25f}});
    CHECK(worst_of(logits(*session, some_ids(*c.model)),
                   reference(c.checkpoint, *c.model, {{&c.adapter, 0.5}, {&second, -1.5}, {&third, 0.25}})) < kTolerance);
  }
}

TEST_CASE("adapter: block-quantised bases stay as they are, also in fast compute") {
  for (const char* type : {"q8_0", "q4_0"}) {
    CAPTURE(type);
    const Editable checkpoint("qwen2-tiny");
    const auto runtime = test_runtime();
    Context ctx;
    ctx.kernels = &runtime->kernels;
    ctx.pool = runtime->pool.get();
    LoadOptions options;
    options.weight_type = type;
    options.context = &ctx;
    const auto model = load_model("qwen2-tiny", options);
    const RandomAdapter adapter(checkpoint, *model, 4);
    const std::vector<float> want = reference(checkpoint, *model, {{&adapter, 1}});
    auto session = session_of(model);
    attach(*session, {{adapter.load(model), 1}});
    CHECK(worst_of(logits(*session, some_ids(*model)), want) < kTolerance);
    auto fast = session_of(model, {.compute = Compute::fast});
    attach(*fast, {{adapter.load(model), 1}});
    const std::vector<float> got = logits(*fast, some_ids(*model));
    double square = 0, error = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      square += double{want[i]} * double{want[i]};
      error += (double{got[i]} - double{want[i]}) * (double{got[i]} - double{want[i]});
    }
    CHECK(std::sqrt(error / square) < 0.03);
  }
}

TEST_CASE("adapter: on GGUF models, with permuted rows and split kv_b_proj") {
  for (const char* name : {"llama3-tiny", "v2lite-tiny", "v3-tiny", "qwen2-tiny"}) {
    CAPTURE(name);
    const Case c(name);
    auto gguf = Model::load(path_source(std::string(PONDER_TEST_DATA "/gguf/") + name + ".bf16.gguf"), {});
    REQUIRE_MESSAGE(gguf.ok(), gguf.status().message());
    const auto ids = some_ids(*c.model);
    auto of_folder = session_of(c.model), of_gguf = session_of(*gguf);
    // The fixtures' GGUF files hold the same weights, rounded to bf16: what the adapter changes is the same.
    const double before = worst_of(logits(*of_gguf, ids), logits(*of_folder, ids));
    attach(*of_folder, {{c.loaded, 1}});
    attach(*of_gguf, {{c.adapter.load(*gguf), 1}});
    CHECK(worst_of(logits(*of_gguf, ids), logits(*of_folder, ids)) < std::max(kTolerance, 4 * before));
  }
}

TEST_CASE("adapter: taken off, or with scale 0, the base is back bit for bit; the same set again changes nothing") {
  const Case c("v3-tiny");
  auto session = session_of(c.model);
  const auto ids = some_ids(*c.model);
  const std::vector<float> base = logits(*session, ids);
  REQUIRE(session->prompt_ids(ids).ok());
  attach(*session, {{c.loaded, 0}});
  REQUIRE(session->prompt_ids(ids).ok());
  CHECK(session->stats().reused_tokens == static_cast<std::int64_t>(ids.size()));
  attach(*session, {{c.loaded, 1}});
  CHECK(logits(*session, ids) != base);
  REQUIRE(session->prompt_ids(ids).ok());
  CHECK(session->stats().reused_tokens == 0);
  attach(*session, {{c.loaded, 1}});
  REQUIRE(session->prompt_ids(ids).ok());
  CHECK(session->stats().reused_tokens == static_cast<std::int64_t>(ids.size()));
  attach(*session, {{c.loaded, 0.5f}});
  REQUIRE(session->prompt_ids(ids).ok());
  CHECK(session->stats().reused_tokens == 0);
  attach(*session, {});
  CHECK(logits(*session, ids) == base);
}

TEST_CASE("adapter: swapped in the middle of a reply, the tokens stay and are computed anew") {
  const Case c("v3-tiny");
  const auto ids = some_ids(*c.model, 40);
  auto session = session_of(c.model), fresh = session_of(c.model), base = session_of(c.model);
  for (auto* each : {&session, &fresh, &base}) go_on_behind_end(**each);
  REQUIRE(session->prompt_ids(ids).ok());
  const std::vector<TokenId> before = read_reply(*session, 5).ids;
  REQUIRE(before.size() == 5);
  attach(*session, {{c.loaded, 1}});
  std::vector<TokenId> all = ids;
  all.insert(all.end(), before.begin(), before.end());
  CHECK(std::equal(all.begin(), all.end(), session->tokens().begin(), session->tokens().end()));
  attach(*fresh, {{c.loaded, 1}});
  REQUIRE(fresh->prompt_ids(all).ok());
  CHECK(read_reply(*session, 10).ids == read_reply(*fresh, 10).ids);
  auto got = session->logits(), want = fresh->logits();
  REQUIRE((got.ok() && want.ok()));
  CHECK(std::equal(got->begin(), got->end(), want->begin(), want->end()));
  // And back, in slices.
  attach(*session, {});
  all.assign(session->tokens().begin(), session->tokens().end());
  REQUIRE(base->prompt_ids(all).ok());
  TokenEvent a, b;
  Status status;
  int n_slices = 0;
  while ((status = session->step(0, a)).code() == Code::pending) ++n_slices;
  REQUIRE(status.ok());
  CHECK(n_slices > 0);
  REQUIRE(base->next(b).ok());
  CHECK(a.id == b.id);
  CHECK(a.logprob == b.logprob);
}

TEST_CASE("adapter: exact compute gives the same bits for any chunk, thread count and company") {
  const Case c("v3-tiny");
  const RandomAdapter other_files(c.checkpoint, *c.model, 9);
  const auto other = other_files.load(c.model);
  const auto ids = some_ids(*c.model);
  std::vector<std::vector<float>> want;
  for (const auto& uses : {std::vector<AdapterUse>{}, {{c.loaded, 1}}, {{other, 1}, {c.loaded, 0.5f}}}) {
    auto one = session_of(c.model, {}, 1);
    attach(*one, uses);
    want.push_back(logits(*one, ids));
    for (const std::size_t chunk : {1, 7, 64}) {
      auto session = session_of(c.model, {.prefill_chunk = chunk});
      attach(*session, uses);
      CHECK(logits(*session, ids) == want.back());
    }
  }
  // Three sessions with three sets in one batch, and in one call.
  const auto runtime = test_runtime();
  auto scheduler = Scheduler::create(runtime, c.model, {.token_budget = 16}).value();
  std::vector<std::unique_ptr<Session>> sessions, alone, direct;
  for (int i = 0; i < 6; ++i) {
    for (auto* list : {&sessions, &alone, &direct}) {
      list->push_back(session_of(c.model, {.defer_prefill = true}));
      GenerateParams params;
      params.max_new_tokens = 12;
      params.ignore_eos = true;
      REQUIRE(list->back()->set_generate_params(params).ok());
      if (i % 3 == 1) attach(*list->back(), {{c.loaded, 1}});
      if (i % 3 == 2) attach(*list->back(), {{other, 1}, {c.loaded, 0.5f}});
      REQUIRE(list->back()->prompt_ids(std::span(ids).first(30 + static_cast<std::size_t>(i))).ok());
    }
    REQUIRE(scheduler->add(*sessions.back(), 0).ok());
  }
  std::map<const Session*, std::vector<float>> got;
  std::vector<SchedulerEvent> events;
  for (Status status; (status = scheduler->step(-1, events)).code() != Code::end;) {
    REQUIRE(status.ok());
    for (const SchedulerEvent& event : events)
      if (event.status.ok()) got[event.session].push_back(event.token.logprob);
  }
  std::vector<Session*> list;
  for (auto& session : direct) list.push_back(session.get());
  std::vector<TokenEvent> batch(6);
  std::vector<Status> statuses(6);
  std::vector<std::vector<float>> of_batch(6);
  for (int n = 0; n < 12; ++n) {
    REQUIRE(Session::next_batch(list, batch, statuses).ok());
    for (std::size_t i = 0; i < 6; ++i) of_batch[i].push_back(batch[i].logprob);
  }
  for (std::size_t i = 0; i < 6; ++i) {
    std::vector<float> logprobs;
    for (const TokenEvent& event : read_reply(*alone[i]).events) logprobs.push_back(event.logprob);
    CHECK(logprobs.size() == 12);
    CHECK(got[sessions[i].get()] == logprobs);
    CHECK(of_batch[i] == logprobs);
  }
}

TEST_CASE("adapter: forks have it, saved sessions are bound to it, embeddings use it") {
  const Case c("v3-tiny");
  const auto ids = some_ids(*c.model, 30);
  auto session = session_of(c.model), base = session_of(c.model);
  const std::span<const TokenId> input(ids);
  const std::vector<float> plain = base->embed({&input, 1}, {}).value();
  attach(*session, {{c.loaded, 1}});
  CHECK(session->embed({&input, 1}, {}).value() != plain);
  REQUIRE(session->prompt_ids(ids).ok());
  const auto state = session->save();
  REQUIRE(state.ok());
  const auto fork = session->fork();
  REQUIRE(fork.ok());
  const Status refused = base->restore(*state);
  CHECK(refused.code() == Code::invalid_argument);
  CHECK(names(refused, "other adapters"));
  attach(*base, {{c.loaded, 1}});
  REQUIRE(base->restore(*state).ok());
  const std::vector<TokenId> want = read_reply(*session, 10).ids;
  CHECK(read_reply(**fork, 10).ids == want);
  CHECK(read_reply(*base, 10).ids == want);
}

TEST_CASE("adapter: adapters of other models, twice, and scales that are no numbers are refused") {
  const Case c("v3-tiny");
  const auto other_model = load_model("v3-tiny");
  auto session = session_of(c.model);
  const auto refused = [&](std::vector<AdapterUse> uses, std::string_view text) {
    const Status status = session->set_adapters(uses);
    CHECK(status.code() == Code::invalid_argument);
    CHECK_MESSAGE(names(status, text), status.message());
  };
  refused({{c.loaded, 1}, {c.adapter.load(other_model), 1}}, "adapters[1] belongs to another model");
  refused({{c.loaded, 1}, {c.loaded, 1}}, "adapters[0] and adapters[1] are the same");
  refused({{c.loaded, std::nanf("")}}, "adapters[0]: its scale");
  refused({{nullptr, 1}}, "adapters[0] is null");
}
