// What the three readers (GBNF, regex, JSON Schema) build and the automaton is compiled from: rules over characters.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace ponder::core::grammar {

struct CharRange {
  std::uint32_t first = 0, last = 0;  // code points, both included
};
using CharSet = std::vector<CharRange>;

inline constexpr std::uint32_t kMaxChar = 0x10ffff;
inline constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

// Sorted, disjoint, without the surrogates, which no UTF-8 holds.
CharSet normalized(CharSet set);
CharSet complement(const CharSet& set);  // of a normalized one
void append_utf8(std::string& out, std::uint32_t code);

using NodeId = std::uint32_t;
using RuleId = std::uint32_t;

struct Node {
  enum class Kind : std::uint8_t { bytes, chars, sequence, choice, repeat, rule };
  Kind kind = Kind::bytes;
  std::string bytes;             // bytes
  CharSet chars;                 // chars, normalized; empty matches nothing
  std::vector<NodeId> children;  // sequence (empty: the empty text), choice (empty: nothing), repeat
  std::uint32_t min = 0, max = 0;  // repeat; max may be kNoLimit
  RuleId rule = 0;
};

struct Rule {
  std::string name;
  NodeId body = 0;
  bool defined = false;
};

// Nodes may be used more than once. Rule 0 is where matching begins.
struct Syntax {
  static constexpr std::size_t kMaxNodes = 200'000;
  static constexpr std::size_t kMaxRules = 20'000;
  static constexpr std::size_t kMaxNesting = 100;  // of groups and schemas

  std::vector<Node> nodes;
  std::vector<Rule> rules;

  NodeId add(Node node) {
    nodes.push_back(std::move(node));
    return static_cast<NodeId>(nodes.size() - 1);
  }
  NodeId text(std::string_view bytes);
  NodeId chars(CharSet set);
  NodeId sequence(std::vector<NodeId> children);
  NodeId choice(std::vector<NodeId> children);
  NodeId repeat(NodeId child, std::uint32_t min, std::uint32_t max);
  NodeId optional(NodeId child) { return repeat(child, 0, 1); }
  NodeId call(RuleId rule);
  RuleId add_rule(std::string name);
  void define(RuleId rule, NodeId body) {
    rules[rule].body = body;
    rules[rule].defined = true;
  }
  Status check_size(std::string_view what) const;
};

}  // namespace ponder::core::grammar
