#include <cmath>
#include <cstring>

#include "ponder/ponder.hpp"
#include "tests/capi/adapter_files.h"

using namespace capi_test;

namespace {

using Adapter = std::unique_ptr<ponder_adapter, Deleter<ponder_adapter, ponder_adapter_free>>;

ponder_model_info info_of(ponder_model* model) {
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(model, &info, nullptr) == PONDER_OK);
  return info;
}

Adapter load(const Tiny& tiny, const AdapterFiles& files) {
  ponder_adapter* adapter = nullptr;
  ponder_error err;
  const auto list = files.list();
  REQUIRE_MESSAGE(ponder_adapter_load_memory(tiny.runtime.get(), tiny.model.get(), list.data(), list.size(), &adapter, &err) == PONDER_OK,
                  err.message);
  return Adapter(adapter);
}

std::vector<float> logits(ponder_session* session, std::size_t n) {
  std::vector<float> out(n);
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_logits(session, out.data(), n, &err) == PONDER_OK, err.message);
  return out;
}

}  // namespace

TEST_CASE("C: adapters are loaded, attached with scales, several at once, swapped and taken off") {
  const Tiny tiny;
  const ponder_model_info model = info_of(tiny.model.get());
  const auto vocab = static_cast<std::size_t>(model.vocab_size);
  const AdapterFiles first_files(model, 65), second_files(model, 66);
  Adapter first = load(tiny, first_files), second = load(tiny, second_files);
  ponder_adapter_info info{};
  info.struct_size = sizeof info;
  ponder_error err;
  REQUIRE(ponder_adapter_get_info(first.get(), &info, &err) == PONDER_OK);
  CHECK(info.max_rank == 1);
  CHECK(info.n_weights == 1);
  CHECK(info.n_parameters == model.hidden_size + model.vocab_size);
  CHECK(info.fingerprint != 0);

  ponder_session_params params = ponder_session_params_default();
  params.compute = PONDER_COMPUTE_EXACT;
  const Session session = tiny.session(params);
  prompt(session.get());
  const std::vector<float> base = logits(session.get(), vocab);
  const auto attach = [&](std::vector<ponder_adapter_use> uses) {
    REQUIRE_MESSAGE(ponder_session_set_adapters(session.get(), uses.data(), uses.size(), &err) == PONDER_OK, err.message);
    return logits(session.get(), vocab);
  };
  const std::vector<float> one = attach({{first.get(), 1, 0}});
  const double added = double{one[65]} - double{base[65]};
  CHECK(std::abs(added) > 1e-3);
  for (std::size_t i = 0; i < vocab; ++i)
    if (i != 65) CHECK(one[i] == base[i]);
  const std::vector<float> both = attach({{first.get(), 0.5f, 0}, {second.get(), -2, 0}});
  CHECK(both[65] - base[65] == doctest::Approx(added / 2).epsilon(1e-3));
  CHECK(both[66] - base[66] == doctest::Approx(-2 * added).epsilon(1e-3));
  first.reset();  // the session keeps it
  CHECK(attach({{second.get(), 1, 0}})[65] == base[65]);
  CHECK(attach({}) == base);
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("C: adapters that cannot be are refused by name") {
  const Tiny tiny, other;
  const ponder_model_info model = info_of(tiny.model.get());
  const AdapterFiles files(model, 65);
  const Adapter adapter = load(tiny, files), foreign = load(other, files);
  const Session session = tiny.session();
  ponder_error err;
  const auto refused = [&](std::vector<ponder_adapter_use> uses, std::string_view text) {
    check_error(ponder_session_set_adapters(session.get(), uses.data(), uses.size(), &err), err, PONDER_E_INVALID_ARGUMENT, {text});
  };
  refused({{adapter.get(), 1, 0}, {foreign.get(), 1, 0}}, "adapters[1] belongs to another model");
  refused({{nullptr, 1, 0}}, "adapters[0].adapter");
  refused({{adapter.get(), 1, 1}}, "flags");
  refused({{adapter.get(), NAN, 0}}, "scale");
  ponder_adapter* none = reinterpret_cast<ponder_adapter*>(8);
  check_error(ponder_adapter_load(tiny.runtime.get(), tiny.model.get(), "/no/such/folder", &none, &err), err, PONDER_E_NOT_FOUND,
              {"/no/such/folder"});
  CHECK(none == nullptr);
  AdapterFiles broken = files;
  broken.config = "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 2}";
  const auto list = broken.list();
  check_error(ponder_adapter_load_memory(tiny.runtime.get(), tiny.model.get(), list.data(), list.size(), &none, &err), err,
              PONDER_E_BAD_FILE, {"base_model.model.lm_head.lora_A.weight", "rank 2"});
}

TEST_CASE("C++: an adapter on a session, and off") {
  const ponder::Model model = ponder::Model::load(kTiny).value();
  const AdapterFiles files(model.info(), 65, 4000);
  const auto list = files.list();
  const ponder::Adapter adapter = model.adapter_memory(list).value();
  CHECK(adapter.info().n_weights == 1);
  ponder::Session session = model.session({.compute = PONDER_COMPUTE_EXACT}).value();
  REQUIRE(session.prompt_ids(question_ids()));
  const std::vector<std::int32_t> base = session.generate().ids;
  REQUIRE(session.set_adapter(adapter));
  REQUIRE(session.prompt_ids(question_ids()));
  CHECK(session.generate().ids != base);
  REQUIRE(session.set_adapters({}));
  REQUIRE(session.prompt_ids(question_ids()));
  CHECK(session.generate().ids == base);
  CHECK(model.adapter("/no/such/folder").error().code() == PONDER_E_NOT_FOUND);
}
