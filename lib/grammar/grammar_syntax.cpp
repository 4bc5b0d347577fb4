#include "lib/grammar/grammar_syntax.h"

#include <algorithm>

#include "lib/base/format.h"

namespace ponder::core::grammar {

CharSet normalized(CharSet set) {
  std::sort(set.begin(), set.end(), [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  CharSet merged;
  for (const CharRange& r : set) {
    if (r.first > r.last || r.first > kMaxChar) continue;
    const std::uint32_t last = std::min(r.last, kMaxChar);
    if (!merged.empty() && r.first <= merged.back().last + 1)
      merged.back().last = std::max(merged.back().last, last);
    else
      merged.push_back({r.first, last});
  }
  CharSet out;
  for (const CharRange& r : merged) {
    if (r.first < 0xd800) out.push_back({r.first, std::min(r.last, 0xd7ffu)});
    if (r.last > 0xdfff) out.push_back({std::max(r.first, 0xe000u), r.last});
  }
  return out;
}

CharSet complement(const CharSet& set) {
  CharSet out;
  std::uint32_t next = 0;
  for (const CharRange& r : set) {
    if (r.first > next) out.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kMaxChar) out.push_back({next, kMaxChar});
  return normalized(std::move(out));
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { out += static_cast<char>(static_cast<unsigned char>(value)); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | (code >> 6));
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3f));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

NodeId Syntax::text(std::string_view bytes) {
  Node node;
  node.kind = Node::Kind::bytes;
  node.bytes = bytes;
  return add(std::move(node));
}

NodeId Syntax::chars(CharSet set) {
  Node node;
  node.kind = Node::Kind::chars;
  node.chars = normalized(std::move(set));
  return add(std::move(node));
}

NodeId Syntax::sequence(std::vector<NodeId> children) {
  if (children.size() == 1) return children[0];
  Node node;
  node.kind = Node::Kind::sequence;
  node.children = std::move(children);
  return add(std::move(node));
}

NodeId Syntax::choice(std::vector<NodeId> children) {
  if (children.size() == 1) return children[0];
  Node node;
  node.kind = Node::Kind::choice;
  node.children = std::move(children);
  return add(std::move(node));
}

NodeId Syntax::repeat(NodeId child, std::uint32_t min, std::uint32_t max) {
  Node node;
  node.kind = Node::Kind::repeat;
  node.children = {child};
  node.min = min;
  node.max = max;
  return add(std::move(node));
}

NodeId Syntax::call(RuleId rule) {
  Node node;
  node.kind = Node::Kind::rule;
  node.rule = rule;
  return add(std::move(node));
}

RuleId Syntax::add_rule(std::string name) {
  Rule rule;
  rule.name = std::move(name);
  rules.push_back(std::move(rule));
  return static_cast<RuleId>(rules.size() - 1);
}

Status Syntax::check_size(std::string_view what) const {
  if (nodes.size() > kMaxNodes) return fail(Code::unsupported, "{}: more than {} parts", what, kMaxNodes);
  if (rules.size() > kMaxRules) return fail(Code::unsupported, "{}: more than {} rules", what, kMaxRules);
  return {};
}

}  // namespace ponder::core::grammar
