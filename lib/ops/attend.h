// Softmax attention of a tile of query rows over keys and values that come block by block (online softmax, as in
// FlashAttention): nothing here grows with the context. One thread; scratch memory is the caller's.
#pragma once

#include "lib/base/tensor.h"
#include "lib/ops/context.h"
#include "lib/ops/kv_rows.h"

namespace ponder::core::ops {

// Consecutive tokens of one sequence with `n_heads` query rows each: row = token * n_heads + head.
struct AttendTile {
  std::size_t n_tokens = 0, n_heads = 0;
  std::size_t first_position = 0;  // of token 0; a token sees the keys at its own position and before
  Tensor queries;                  // [n_tokens * n_heads, key dims]; in fast compute begin() makes them what its kernels read
  Tensor scores;                   // [n_tokens * n_heads, tokens of a block]: scratch, exact compute only
  Tensor out;                      // [n_tokens * n_heads, value dims]
  float *running_max = nullptr, *sum = nullptr;  // [n_tokens * n_heads]
  float scale = 1;

  std::size_t end_position() const { return first_position + n_tokens; }
};

// What the following attend_block will read, so that it comes to the caches meanwhile: n_rows rows, in each of them `bytes` at
// keys and values.
struct NextRows {
  const std::byte *keys = nullptr, *values = nullptr;
  std::size_t key_bytes = 0, value_bytes = 0, row_stride_bytes = 0, n_rows = 0;
};

// begin, then every block in order of positions, then end. In exact compute the bits of a row depend on its query, the keys
// it sees and the positions at which blocks start, not on the other rows of the tile. Rows that a token may not see are not
// read for it: they may hold anything. Keys and values: from kv_rows_for, for this many query rows.
void attend_begin(const Context& ctx, const AttendTile& tile);
void attend_block(const Context& ctx, const AttendTile& tile, std::size_t first_key, std::size_t n_keys, const KvRows& keys,
                  const KvRows& values, const NextRows& next = {});
void attend_end(const AttendTile& tile);

// Results of one query row over n_parts consecutive ranges of keys, before end: out [n_parts, n_cols] `stride` floats
// apart, running_max and sum `stat_stride` floats apart. out's first row becomes the attention over all of them.
void attend_merge(const Context& ctx, float* out, std::size_t n_cols, std::size_t stride, const float* running_max,
                  const float* sum, std::size_t stat_stride, std::size_t n_parts);

}  // namespace ponder::core::ops
