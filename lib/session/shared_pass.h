// One forward pass over rows of several sessions, so that the weights are read once for all of them: the inner part of
// every batched step. The sessions' own copies of logits, counters and the mark of a pass under way are kept here.
#pragma once

#include <vector>

#include "lib/session/session.h"

namespace ponder::core {

class SharedPass {
 public:
  // So that a step allocates nothing.
  void reserve(std::size_t max_members, std::size_t max_rows);

  void clear();
  // The next n_rows pending tokens of a session; its logits where these are all of them.
  void add(Session::State& member, std::size_t n_rows);
  std::size_t n_members() const { return members_.size(); }
  std::size_t n_rows() const { return ids_.size(); }
  std::size_t n_logits_rows() const { return logits_rows_.size(); }

  // As Forward's. OK: caches are committed, and logits are valid where they were wanted.
  Status begin(Forward& forward);
  Status advance(Forward::Clock::time_point deadline);
  bool active() const { return forward_ != nullptr; }
  // Whether no member was changed since begin(), by what its State::pass says.
  bool intact() const;
  // Gives the pass up: nothing of it was committed. No member is looked at.
  void drop();

 private:
  std::vector<Session::State*> members_;
  std::vector<TokenId> ids_;
  std::vector<SequenceRows> sequences_;
  std::vector<std::size_t> logits_rows_;
  Forward* forward_ = nullptr;  // of the pass under way
};

}  // namespace ponder::core
