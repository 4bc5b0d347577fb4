// A grammar as a network of byte automata, one per rule, that call each other, and its determinisation as far as texts
// have come: a state is the set of all (place, stack of returns) in which the bytes so far may have left it.
//
// Left recursion is refused when the network is made, so that the set of a state is finite; its size, the depth of stacks
// and the memory of all states are bounded.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "lib/grammar/grammar_syntax.h"

namespace ponder::core::grammar {

// Immutable.
struct Network {
  static constexpr std::size_t kMaxStates = 300'000;
  static constexpr std::uint32_t kNone = 0xffffffff;

  struct ByteEdge {
    std::uint8_t first, last;
    std::uint32_t target;
  };
  struct CallEdge {
    std::uint32_t rule, target;
  };
  struct Place {
    std::vector<ByteEdge> bytes;
    std::vector<CallEdge> calls;
    std::vector<std::uint32_t> empty;
    bool final = false;  // of its rule
    bool tail = false;   // nothing follows in its rule: a call to here needs no return
  };
  std::vector<Place> places;
  std::vector<std::uint32_t> starts;  // per rule
  std::array<std::uint8_t, 256> byte_class{};
  std::vector<std::uint8_t> class_byte;  // one byte of each class
  std::vector<std::uint16_t> class_size;

  // invalid_argument: left recursion, or nothing matches; unsupported: too large.
  static Result<Network> compile(const Syntax& syntax);
};

using StateId = std::uint32_t;

// What has been determined so far. Not thread safe: Grammar locks.
class States {
 public:
  static constexpr StateId kDead = 0;
  static constexpr std::size_t kMaxConfigs = 4096;  // of one state
  static constexpr std::uint32_t kMaxDepth = 2048;  // of a stack

  explicit States(std::shared_ptr<const Network> network);

  StateId start() const { return start_; }
  bool accepting(StateId state) const { return sets_[state].accepting; }
  StateId next(StateId state, std::uint8_t byte_class) {
    const std::int32_t known = next_[state * n_classes_ + byte_class];
    return known >= 0 ? static_cast<StateId>(known) : find_next(state, byte_class);
  }
  StateId next_byte(StateId state, std::uint8_t byte) { return next(state, network_->byte_class[byte]); }
  std::size_t n_states() const { return sets_.size(); }
  std::size_t bytes() const;
  bool was_limited() const { return limited_; }  // a text was refused because of the limits

  // The state as another States of the same network knows it.
  StateId import(const States& from, StateId state);

 private:
  struct Config {
    std::uint32_t place, stack;
    bool operator==(const Config&) const = default;
    auto operator<=>(const Config&) const = default;
  };
  struct Frame {
    std::uint32_t parent, target, depth;
  };
  struct Set {
    std::size_t begin = 0;
    std::uint32_t count = 0;
    bool accepting = false;
  };
  StateId find_next(StateId state, std::uint8_t byte_class);
  std::uint32_t push(std::uint32_t stack, std::uint32_t target);
  void reach(std::uint32_t place, std::uint32_t stack);
  StateId intern();  // of what was reached

  std::shared_ptr<const Network> network_;
  std::size_t n_classes_;
  StateId start_ = kDead;
  std::vector<Frame> frames_;
  std::unordered_map<std::uint64_t, std::uint32_t> frame_ids_;
  std::vector<Config> configs_;
  std::vector<Set> sets_;
  std::unordered_multimap<std::uint64_t, StateId> set_ids_;
  std::vector<std::int32_t> next_;  // [n_states, n_classes]; -1: not known yet
  // Of the state that is being made.
  std::vector<Config> work_, reached_;
  std::unordered_map<std::uint64_t, bool> seen_;
  bool accepting_ = false;
  bool limited_ = false;
};

}  // namespace ponder::core::grammar
