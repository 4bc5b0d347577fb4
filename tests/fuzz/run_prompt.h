// What a fuzzed model that loads has to stand: a text, one prompt, and a draft of its MTP layer.
#pragma once

#include <cstddef>
#include <vector>

#include "lib/model/forward.h"

namespace ponder::fuzz {

inline void run_prompt(const core::Model& model) {
  using namespace core;
  static const auto pool = ThreadPool::create(1).value();
  static const auto table = kernels::make_table(kernels::highest_isa());
  constexpr std::size_t kRows = 3;
  const Config& config = model.config();
  const ForwardOptions options{.max_rows = kRows, .max_logits_rows = kRows};
  // Sizes that no tensor bears out (of experts when no layer is MoE) may still be large.
  if (Forward::scratch_bytes(config, options) > std::size_t{256} << 20) return;
  Context ctx;
  ctx.kernels = &table;
  ctx.pool = pool.get();
  auto forward = Forward::create(model, ctx, options);
  if (!forward.ok()) return;
  const auto row = static_cast<std::size_t>(config.kv_row_elements());
  auto kv = KvCache::create({static_cast<std::size_t>(config.num_hidden_layers), row, DType::f32}, 2 * kRows);
  if (!kv.ok()) return;
  const TokenId ids[kRows] = {0, 1, static_cast<TokenId>(config.vocab_size - 1)};
  const std::size_t rows[kRows] = {0, 1, 2};
  const SequenceRows sequence{&*kv, 0, kRows};
  const Status status = forward->run({ids, {&sequence, 1}, rows, nullptr});
  if (!status.ok() && status.code() != Code::invalid_argument) __builtin_trap();  // one id of a vocabulary of one
  if (model.tokenizer()) (void)model.tokenizer()->encode("a1 b<bos>", {.parse_special = true});
  if (!status.ok() || !model.weights().mtp) return;
  auto mtp_kv = KvCache::create({1, row, DType::f32}, kRows);
  if (!mtp_kv.ok()) return;
  std::vector<float> logits(kRows * static_cast<std::size_t>(config.vocab_size));
  if (!forward->mtp(forward->final_hidden(), ids, *mtp_kv, Tensor(logits.data(), kRows, logits.size() / kRows), {}).ok())
    __builtin_trap();
}

}  // namespace ponder::fuzz
