// How attention is split into tasks: a few consecutive tokens of one sequence and a few heads each.
#pragma once

#include <algorithm>

#include "lib/model/decoder_layer.h"

namespace ponder::core {

struct AttentionTask {
  const SequenceRows* sequence = nullptr;
  std::size_t first_row = 0, n_tokens = 0;   // rows of the batch
  std::size_t first_head = 0, n_heads = 0;
};

// body(task, lane memory) for all rows and heads. A task's heads lie within one group of `group` heads (those that share
// a key head). Few tokens take several heads together, since all rows of a task read a block of the cache once.
template <class F>
void for_attention_tasks(const Context& ctx, const Rows& rows, std::size_t n_heads, std::size_t group, Scratch& s, F&& body) {
  struct Split {
    std::size_t tokens, heads, token_tiles, head_tiles;  // head_tiles: of one group
  };
  const auto split = [&](const SequenceRows& sequence) {
    const std::size_t tokens = std::min(Scratch::kTileTokens, sequence.n_rows);
    const std::size_t heads = std::min(group, tokens >= Scratch::kTileHeads ? 1 : Scratch::kTileHeads / tokens);
    return Split{tokens, heads, (sequence.n_rows + tokens - 1) / tokens, (group + heads - 1) / heads};
  };
  std::size_t n_tasks = 0;
  const std::size_t n_groups = n_heads / group;
  for (const SequenceRows& sequence : rows.sequences) {
    if (sequence.n_rows == 0) continue;
    const Split p = split(sequence);
    n_tasks += p.token_tiles * p.head_tiles * n_groups;
  }
  ops::for_tasks_in_lanes(ctx, n_tasks, s.attention_lanes.n_rows, [&](std::size_t index, std::size_t lane) {
    for (const SequenceRows& sequence : rows.sequences) {
      if (sequence.n_rows == 0) continue;
      const Split p = split(sequence);
      const std::size_t head_tasks = p.head_tiles * n_groups, count = p.token_tiles * head_tasks;
      if (index >= count) {
        index -= count;
        continue;
      }
      // Late tokens see the most keys: the longest tasks start first, so that the end of the region is even.
      const std::size_t tile = p.token_tiles - 1 - index / head_tasks, head_task = index % head_tasks;
      AttentionTask task;
      task.sequence = &sequence;
      task.first_row = sequence.first_row + tile * p.tokens;
      task.n_tokens = std::min(p.tokens, sequence.n_rows - tile * p.tokens);
      task.first_head = head_task / p.head_tiles * group + head_task % p.head_tiles * p.heads;
      task.n_heads = std::min(p.heads, group - head_task % p.head_tiles * p.heads);
      body(task, s.attention_lanes.row(lane));
      return;
    }
  });
}

}  // namespace ponder::core
