// Sessions: vectors of texts.
#include <algorithm>
#include <limits>

#include "capi/session_call.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Session;
using core::Status;
using core::TokenId;

constexpr std::uint32_t kIdFlags = PONDER_EMBED_NORMALIZE, kTextFlags = kIdFlags | PONDER_EMBED_SPECIAL;

Status to_core(ponder_pooling pooling, std::uint32_t flags, core::EmbedOptions& out) {
  switch (pooling) {
    case PONDER_POOLING_DEFAULT:
    case PONDER_POOLING_MEAN: out.pooling = core::Pooling::mean; break;
    case PONDER_POOLING_LAST: out.pooling = core::Pooling::last; break;
    default: return core::fail(Code::invalid_argument, "pooling: {}, want a PONDER_POOLING_ value", pooling);
  }
  out.normalize = (flags & PONDER_EMBED_NORMALIZE) != 0;
  return {};
}

// Before any work: whether there is room; `only_count` when nothing but the count was asked for.
Status check_room(const Session& s, std::size_t n_inputs, const float* out, std::size_t capacity, std::size_t* out_count,
                  bool& only_count) {
  PONDER_TRY(capi::need({{"out_count", out_count}}));
  const auto width = static_cast<std::size_t>(s.model().config().hidden_size);
  if (n_inputs > std::numeric_limits<std::size_t>::max() / sizeof(float) / width)
    return core::fail(Code::invalid_argument, "{} inputs of {} values", n_inputs, width);
  *out_count = n_inputs * width;
  only_count = !out && capacity == 0;
  if (only_count) return {};
  if (!out) return {Code::invalid_argument, "out_vectors must not be NULL with a capacity above 0"};
  if (*out_count <= capacity) return {};
  return core::fail(Code::buffer_too_small, "{} inputs have {} values, but room for {}", n_inputs, *out_count, capacity);
}

Status embed(Session& s, std::span<const std::span<const TokenId>> inputs, const core::EmbedOptions& options, float* out) {
  PONDER_ASSIGN(const std::vector<float> vectors, s.embed(inputs, options));
  std::copy(vectors.begin(), vectors.end(), out);
  return {};
}

}  // namespace

ponder_status PONDER_CALL ponder_session_embed_texts(ponder_session* session, const ponder_text* texts, size_t n_texts,
                                                     ponder_pooling pooling, uint32_t flags, float* out_vectors,
                                                     size_t capacity, size_t* out_count, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("texts", texts, n_texts));
    PONDER_TRY(capi::check_flags("flags", flags, kTextFlags));
    core::EmbedOptions options;
    PONDER_TRY(to_core(pooling, flags, options));
    bool only_count = false;
    PONDER_TRY(check_room(s, n_texts, out_vectors, capacity, out_count, only_count));
    if (only_count) return {};
    std::vector<std::vector<TokenId>> ids;
    for (std::size_t i = 0; i < n_texts; ++i) {
      PONDER_TRY(capi::need_array("texts[i].data", texts[i].data, texts[i].size));
      const std::string_view text(texts[i].data ? texts[i].data : "", texts[i].size);
      auto encoded = s.text_ids(text, (flags & PONDER_EMBED_SPECIAL) != 0);
      if (!encoded.ok()) return std::move(encoded).status().with_prefix(core::formatted("texts[{}]", i));
      ids.push_back(std::move(*encoded));
    }
    return embed(s, std::vector<std::span<const TokenId>>(ids.begin(), ids.end()), options, out_vectors);
  });
}

ponder_status PONDER_CALL ponder_session_embed_ids(ponder_session* session, const int32_t* ids, const size_t* lengths,
                                                   size_t n_inputs, ponder_pooling pooling, uint32_t flags,
                                                   float* out_vectors, size_t capacity, size_t* out_count,
                                                   ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("lengths", lengths, n_inputs));
    PONDER_TRY(capi::check_flags("flags", flags, kIdFlags));
    core::EmbedOptions options;
    PONDER_TRY(to_core(pooling, flags, options));
    bool only_count = false;
    PONDER_TRY(check_room(s, n_inputs, out_vectors, capacity, out_count, only_count));
    if (only_count) return {};
    std::vector<std::span<const TokenId>> inputs;
    for (std::size_t i = 0; i < n_inputs; ++i) {
      PONDER_TRY(capi::need_array("ids", ids, lengths[i]));
      inputs.emplace_back(ids, lengths[i]);
      ids += lengths[i];
    }
    return embed(s, inputs, options, out_vectors);
  });
}
