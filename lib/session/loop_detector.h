// Whether a text, as token ids, has begun to repeat itself. Two rules over the last kHistory ids:
//   - a period: id[t] == id[t - p] for the last `run` tokens, p <= kMaxPeriod, and run >= max(64, 3 p), or 48 for p < 4.
//     Tables and strings of digits repeat shortly, so three whole periods are wanted.
//   - a phrase: the same kWindow ids for the kMaxSeen-th time, without overlap. Finds paragraphs that come back between others.
// A bounded number of steps per token, and no allocation after create().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/text/tokenizer.h"

namespace ponder::core {

class LoopDetector {
 public:
  static constexpr std::size_t kHistory = 2048, kMaxPeriod = 256, kWindow = 32, kMaxSeen = 6;

  void create();  // makes the room; nothing is pushed before
  bool created() const { return !ids_.empty(); }
  // Whether what has been pushed since reset() ends in a loop.
  bool push(TokenId id);
  void reset();

 private:
  std::size_t n_ = 0;                              // pushed
  std::vector<TokenId> ids_;                       // [kHistory], of token t at t % kHistory
  std::vector<std::uint64_t> hashes_;              // [kHistory], of the window that ends at t
  std::array<std::uint32_t, kMaxPeriod + 1> runs_{};  // by period
  std::uint64_t hash_ = 0;
};

}  // namespace ponder::core
