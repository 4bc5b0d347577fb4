// Softmax attention of a tile of query rows over keys and values that come block by block (online softmax, as in
// FlashAttention): nothing here grows with the context. One thread; scratch memory is the caller's.
#pragma once

#include "lib/base/tensor.h"
#include "lib/ops/context.h"

namespace ponder::core::ops {

// Consecutive tokens of one sequence with `n_heads` query rows each: row = token * n_heads + head.
struct AttendTile {
  std::size_t n_tokens = 0, n_heads = 0;
  std::size_t first_position = 0;  // of token 0; a token sees the keys at its own position and before
  Tensor queries;                  // [n_tokens * n_heads, key dims]
  Tensor scores;                   // [n_tokens * n_heads, tokens of a block]: scratch
  Tensor out;                      // [n_tokens * n_heads, value dims]
  float *running_max = nullptr, *sum = nullptr;  // [n_tokens * n_heads]
  float scale = 1;

  std::size_t end_position() const { return first_position + n_tokens; }
};

// Rows of a block: row i is at data + i * row_stride_bytes.
struct KvRows {
  DType type = DType::f32;
  const std::byte* data = nullptr;
  std::size_t row_stride_bytes = 0;
};

// begin, then every block in order of positions from 0 on, then end. The bits of a row depend on its query, the keys it
// sees and the positions at which blocks start, not on the other rows of the tile. Rows that a token may not see are not
// read for it: they may hold anything.
void attend_begin(const AttendTile& tile);
void attend_block(const Context& ctx, const AttendTile& tile, std::size_t first_key, std::size_t n_keys, const KvRows& keys,
                  const KvRows& values);
void attend_end(const AttendTile& tile);

}  // namespace ponder::core::ops
