// Fast compute: attention split into units of a few tokens and heads of one sequence, and where those are few, each over
// ranges of the context whose results are merged in order (flash decoding). By shapes alone, never by thread count.
#pragma once

#include <algorithm>

#include "lib/model/attention_tasks.h"

namespace ponder::core {

// How one sequence is cut into units; heads divide a group of heads that share keys, or are whole groups.
struct UnitShape {
  std::size_t tokens = 1, heads = 1;
  bool whole = false;  // never split along the context
  bool heads_apart = false;  // where units are few, split_unit() gives them even if their context is one part
};

class AttentionSplit {
 public:
  struct Part {
    AttentionTask task;
    std::size_t first_block = 0, end_block = 0;
    bool is_split = false;    // the unit has slots
    std::size_t n_parts = 1;
    std::size_t unit = 0;     // of those that are split
    std::size_t slot = 0;     // of the unit's first part, below Scratch::kSlots
    std::size_t part = 0;
  };

  // shape(sequence) of every sequence; dims: key and value dims that one query row meets in one key.
  template <class Shape>
  AttentionSplit(const Rows& rows, const Scratch& s, std::size_t n_heads, std::size_t dims, const Shape& shape)
      : rows_(rows), s_(s), n_heads_(n_heads), dims_(dims), shape_(&shape), shape_of_([](const void* f, const SequenceRows& q) {
          return (*static_cast<const Shape*>(f))(q);
        }) {
    for (const SequenceRows& q : rows.sequences) n_units_ += q.n_rows ? cut(q).n_units() : 0;
    for (const SequenceRows& q : rows.sequences) {
      if (q.n_rows == 0) continue;
      const Cut c = cut(q);
      n_parts_ += c.n_units() * c.n_parts;
      if (c.is_split()) n_split_units_ += c.n_units();
    }
  }
  AttentionSplit(const Rows&, const Scratch&, std::size_t, std::size_t, const auto&&) = delete;  // keeps shape's address

  std::size_t n_parts() const { return n_parts_; }              // of all units
  std::size_t n_split_units() const { return n_split_units_; }  // at most Scratch::kSlots / 2
  Part part(std::size_t index) const { return find(index, false); }
  Part split_unit(std::size_t index) const { return find(index, true); }  // its first part

 private:
  // About 20 us on one core: less does not pay for the merge and the slot.
  static constexpr std::size_t kMinPartMacs = 1 << 20;

  struct Cut {
    UnitShape shape;
    std::size_t token_tiles = 0, head_tiles = 0, n_blocks = 0, part_blocks = 1, n_parts = 1;
    bool apart = false;
    std::size_t n_units() const { return token_tiles * head_tiles; }
    bool is_split() const { return n_parts > 1 || apart; }
  };

  Cut cut(const SequenceRows& q) const {
    Cut c;
    c.shape = shape_of_(shape_, q);
    c.token_tiles = (q.n_rows + c.shape.tokens - 1) / c.shape.tokens;
    c.head_tiles = (n_heads_ + c.shape.heads - 1) / c.shape.heads;
    c.n_blocks = s_.positions[q.first_row + q.n_rows - 1] / KvCache::kBlockTokens + 1;
    c.part_blocks = c.n_blocks;
    const std::size_t wanted = n_units_ ? Scratch::kSlots / n_units_ : 1;
    if (c.shape.whole || wanted < 2) return c;
    c.apart = c.shape.heads_apart;
    const std::size_t block_macs = c.shape.tokens * c.shape.heads * dims_ * KvCache::kBlockTokens;
    c.part_blocks = std::max({(c.n_blocks + wanted - 1) / wanted, (kMinPartMacs + block_macs - 1) / block_macs, std::size_t{1}});
    c.n_parts = (c.n_blocks + c.part_blocks - 1) / c.part_blocks;
    return c;
  }

  Part find(std::size_t index, bool split_units) const {
    std::size_t unit = 0, slot = 0;
    for (const SequenceRows& q : rows_.sequences) {
      if (q.n_rows == 0) continue;
      const Cut c = cut(q);
      const bool is_split = c.is_split();
      const std::size_t of_unit = split_units ? 1 : c.n_parts, count = split_units && !is_split ? 0 : c.n_units() * of_unit;
      if (index >= count) {
        index -= count;
        unit += is_split ? c.n_units() : 0;
        slot += is_split ? c.n_units() * c.n_parts : 0;
        continue;
      }
      const std::size_t local = index / of_unit;
      // Late tokens see the most keys: the longest units start first, so that the end of the region is even.
      const std::size_t tile = c.token_tiles - 1 - local / c.head_tiles, head = local % c.head_tiles * c.shape.heads;
      Part p;
      p.task.sequence = &q;
      p.task.first_row = q.first_row + tile * c.shape.tokens;
      p.task.n_tokens = std::min(c.shape.tokens, q.n_rows - tile * c.shape.tokens);
      p.task.first_head = head;
      p.task.n_heads = std::min(c.shape.heads, n_heads_ - head);
      p.is_split = is_split;
      p.n_parts = c.n_parts;
      p.part = index % of_unit;
      p.first_block = p.part * c.part_blocks;
      p.end_block = std::min(c.n_blocks, p.first_block + c.part_blocks);
      p.unit = unit + local;
      p.slot = slot + local * c.n_parts;
      return p;
    }
    return {};
  }

  const Rows& rows_;
  const Scratch& s_;
  std::size_t n_heads_, dims_;
  const void* shape_;
  UnitShape (*shape_of_)(const void*, const SequenceRows&);
  std::size_t n_units_ = 0, n_parts_ = 0, n_split_units_ = 0;
};

// begin, blocks [first_block, end_block), for tiles whose keys are elements [key, key + key dims) of the cache rows and whose
// values start at element `value`; key == value: values are the first of the keys' elements. `buffer`: floats of two blocks.
inline void attend_blocks(const Context& ctx, const ops::AttendTile& tile, const KvCache& cache, std::size_t kv_layer,
                          std::size_t first_block, std::size_t end_block, std::size_t key, std::size_t value, float* buffer) {
  constexpr std::size_t kBlock = KvCache::kBlockTokens;
  const ops::KvFormat format = cache.layout().format();
  const std::size_t n_queries = tile.n_tokens * tile.n_heads, key_dims = tile.queries.n_cols;
  float* value_buffer = buffer + kBlock * ((key_dims + 15) / 16 * 16);
  for (std::size_t block = first_block; block < end_block && block * kBlock < tile.end_position(); ++block) {
    const std::byte* rows = cache.block_rows(block, kv_layer);
    const std::size_t n_keys = std::min(kBlock, tile.end_position() - block * kBlock);
    const ops::KvRows keys = ops::kv_rows_for(ctx, format, rows, n_keys, key, key_dims, n_queries, buffer);
    const ops::KvRows values =
        key == value ? keys : ops::kv_rows_for(ctx, format, rows, n_keys, value, tile.out.n_cols, n_queries, value_buffer);
    ops::NextRows next;
    if (block + 1 < end_block && (block + 1) * kBlock < tile.end_position()) {
      const std::byte* next_rows = cache.block_rows(block + 1, kv_layer);
      next = {next_rows + format.offset(key), key == value ? nullptr : next_rows + format.offset(value),
              format.offset(key + key_dims) - format.offset(key), format.offset(value + tile.out.n_cols) - format.offset(value),
              format.row_bytes(), std::min(kBlock, tile.end_position() - (block + 1) * kBlock)};
    }
    ops::attend_block(ctx, tile, block * kBlock, n_keys, keys, values, next);
  }
}

}  // namespace ponder::core
