#include <cmath>
#include <cstring>

#include "ponder/ponder.hpp"
#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

constexpr std::string_view kTexts[] = {"What is 347+85?", "", "abc"};

std::vector<ponder_text> texts() {
  std::vector<ponder_text> list;
  for (std::string_view text : kTexts) list.push_back({text.data(), text.size()});
  return list;
}

}  // namespace

TEST_CASE("C: embeddings of texts are those of their ids, BOS in front") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_error err;
  const std::vector<ponder_text> list = texts();
  std::size_t count = 0;
  REQUIRE(ponder_session_embed_texts(session.get(), list.data(), list.size(), PONDER_POOLING_DEFAULT, 0, nullptr, 0, &count, &err) == PONDER_OK);
  ponder_model_info info{};
  info.struct_size = sizeof info;
  REQUIRE(ponder_model_get_info(tiny.model.get(), &info, &err) == PONDER_OK);
  REQUIRE(count == 3 * static_cast<std::size_t>(info.hidden_size));
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> lengths;
  for (std::string_view text : kTexts) {
    ids.push_back(256);
    for (unsigned char c : text) ids.push_back(c);
    lengths.push_back(text.size() + 1);
  }
  for (const ponder_pooling pooling : {PONDER_POOLING_MEAN, PONDER_POOLING_LAST}) {
    std::vector<float> of_texts(count), of_ids(count);
    CHECK_MESSAGE(ponder_session_embed_texts(session.get(), list.data(), list.size(), pooling, PONDER_EMBED_NORMALIZE,
                                             of_texts.data(), count, &count, &err) == PONDER_OK, err.message);
    CHECK_MESSAGE(ponder_session_embed_ids(session.get(), ids.data(), lengths.data(), lengths.size(), pooling,
                                           PONDER_EMBED_NORMALIZE, of_ids.data(), count, &count, &err) == PONDER_OK, err.message);
    CHECK(of_texts == of_ids);
    double square = 0;
    for (std::size_t i = 0; i < count / 3; ++i) square += double{of_ids[i]} * double{of_ids[i]};
    CHECK(std::abs(square - 1) < 1e-5);
  }
}

TEST_CASE("C: embeddings refuse too little room, unknown pooling, and texts that are too long") {
  const Tiny tiny;
  ponder_session_params params = ponder_session_params_default();
  params.context_length = 8;
  const Session session = tiny.session(params);
  ponder_error err;
  const std::vector<ponder_text> list = texts();
  std::size_t count = 0;
  std::vector<float> out(3, -1.0f);
  const auto embed = [&](ponder_pooling pooling, std::uint32_t flags, float* to, std::size_t capacity) {
    return ponder_session_embed_texts(session.get(), list.data(), list.size(), pooling, flags, to, capacity, &count, &err);
  };
  check_error(embed(0, 0, out.data(), 3), err, PONDER_E_BUFFER_TOO_SMALL, {"room for 3"});
  CHECK(out == std::vector<float>(3, -1.0f));
  CHECK(count > 3);
  check_error(embed(0, 0, nullptr, 3), err, PONDER_E_INVALID_ARGUMENT, {"out_vectors"});
  check_error(embed(3, 0, out.data(), 3), err, PONDER_E_INVALID_ARGUMENT, {"pooling: 3"});
  check_error(embed(0, 4, out.data(), 3), err, PONDER_E_INVALID_ARGUMENT, {"flags"});
  out.resize(count);
  check_error(embed(0, 0, out.data(), count), err, PONDER_E_CONTEXT_FULL, {"input 0 has 16 tokens"});
  const std::size_t zero = 0;
  check_error(ponder_session_embed_ids(session.get(), nullptr, &zero, 1, 0, 0, out.data(), count, &count, &err), err,
              PONDER_E_INVALID_ARGUMENT, {"input 0 has no tokens"});
  CHECK(ponder_session_embed_ids(session.get(), nullptr, nullptr, 0, 0, 0, nullptr, 0, &count, &err) == PONDER_OK);
  CHECK(count == 0);
}

TEST_CASE("C++: embeddings of one text, of several, and of ids") {
  const ponder::Model model = ponder::Model::load(kTiny).value();
  ponder::Session session = model.session().value();
  const std::vector<float> several = session.embed(kTexts, {.normalize = true}).value();
  const std::vector<float> one = session.embed(kTexts[2], {.normalize = true}).value();
  const std::vector<std::int32_t> ids[] = {{256, 'a', 'b', 'c'}};
  CHECK(session.embed_ids(ids, {.normalize = true}).value() == one);
  REQUIRE(several.size() == 3 * one.size());
  double difference = 0;  // fast compute: not the same bits in other company
  for (std::size_t i = 0; i < one.size(); ++i) difference = std::max(difference, std::abs(double{several[2 * one.size() + i]} - one[i]));
  CHECK(difference < 1e-2);
  CHECK(session.embed("<think>", {.parse_special = true}).value() != session.embed("<think>").value());
  const std::vector<std::int32_t> wrong[] = {{100000}};
  CHECK(session.embed_ids(wrong).error().code() == PONDER_E_INVALID_ARGUMENT);
}
