#include "lib/grammar/automaton.h"

#include <algorithm>

#include "lib/base/format.h"

namespace ponder::core::grammar {

namespace {

constexpr std::uint32_t kNone = Network::kNone;

class Compiler {
 public:
  explicit Compiler(const Syntax& syntax) : syntax_(syntax) {}

  Result<Network> compile() {
    for (std::size_t i = 0; i < syntax_.rules.size(); ++i) {
      net_.starts.push_back(place());
      ends_.push_back(place());
      net_.places[ends_[i]].final = true;
    }
    for (std::size_t i = 0; i < syntax_.rules.size(); ++i) PONDER_TRY(expand(syntax_.rules[i].body, net_.starts[i], ends_[i], 0));
    // Rules made on the way, which make further ones.
    for (std::size_t i = 0; i < shared_.size(); ++i) {
      const std::size_t rule = syntax_.rules.size() + i;
      PONDER_TRY(expand(shared_[i], net_.starts[rule], ends_[rule], 0));
    }
    if (!trim()) return fail(Code::invalid_argument, "grammar: '{}' matches no text", syntax_.rules[0].name);
    PONDER_TRY(check_recursion());
    find_tails();
    find_classes();
    return std::move(net_);
  }

 private:
  std::uint32_t place() {
    net_.places.emplace_back();
    return static_cast<std::uint32_t>(net_.places.size() - 1);
  }
  void bytes(std::uint32_t from, std::uint32_t to, std::uint8_t first, std::uint8_t last) {
    net_.places[from].bytes.push_back({first, last, to});
  }
  void empty(std::uint32_t from, std::uint32_t to) { net_.places[from].empty.push_back(to); }

  // The UTF-8 of a range of characters: ranges that differ in length, or in more than the last bytes, are split.
  void range(std::uint32_t from, std::uint32_t to, std::uint32_t first, std::uint32_t last) {
    constexpr std::uint32_t kLastOf[] = {0x7f, 0x7ff, 0xffff, kMaxChar};
    for (std::uint32_t limit : kLastOf)
      if (first <= limit && last > limit) {
        range(from, to, first, limit);
        return range(from, to, limit + 1, last);
      }
    for (std::uint32_t bits = 6; bits <= 18; bits += 6) {
      const std::uint32_t low = (1u << bits) - 1;
      if (last < 0x80 || (first | low) == (last | low)) continue;
      if ((first & low) != 0) {
        range(from, to, first, first | low);
        return range(from, to, (first | low) + 1, last);
      }
      if ((last & low) != low) {
        range(from, to, first, (last & ~low) - 1);
        return range(from, to, last & ~low, last);
      }
    }
    std::string a, b;
    append_utf8(a, first);
    append_utf8(b, last);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const std::uint32_t next = i + 1 == a.size() ? to : place();
      bytes(from, next, static_cast<std::uint8_t>(a[i]), static_cast<std::uint8_t>(b[i]));
      from = next;
    }
  }

  bool is_small(const Node& node) const {
    return node.kind == Node::Kind::rule || (node.kind == Node::Kind::bytes && node.bytes.size() <= 2) ||
           (node.kind == Node::Kind::chars && (node.chars.empty() || node.chars.back().last < 0x80));
  }

  // A node that is expanded many times becomes a rule of its own.
  std::uint32_t shared_rule(NodeId id) {
    const auto found = shared_ids_.find(id);
    if (found != shared_ids_.end()) return found->second;
    const auto rule = static_cast<std::uint32_t>(net_.starts.size());
    net_.starts.push_back(place());
    ends_.push_back(place());
    net_.places[ends_.back()].final = true;
    shared_.push_back(id);
    shared_ids_.emplace(id, rule);
    return rule;
  }

  Status expand(NodeId id, std::uint32_t from, std::uint32_t to, std::size_t depth) {
    if (net_.places.size() > Network::kMaxStates || ++n_steps_ > 4 * Network::kMaxStates)
      return fail(Code::unsupported, "grammar: more than {} states; smaller repeats make fewer", Network::kMaxStates);
    if (depth > 1000) return fail(Code::unsupported, "grammar: parts nested deeper than 1000");
    const Node& node = syntax_.nodes[id];
    switch (node.kind) {
      case Node::Kind::bytes: {
        if (node.bytes.empty()) empty(from, to);
        for (std::size_t i = 0; i < node.bytes.size(); ++i) {
          const std::uint32_t next = i + 1 == node.bytes.size() ? to : place();
          const auto byte = static_cast<std::uint8_t>(node.bytes[i]);
          bytes(from, next, byte, byte);
          from = next;
        }
        return {};
      }
      case Node::Kind::chars:
        for (const CharRange& r : node.chars) range(from, to, r.first, r.last);
        return {};
      case Node::Kind::sequence: {
        if (node.children.empty()) empty(from, to);
        for (std::size_t i = 0; i < node.children.size(); ++i) {
          const std::uint32_t next = i + 1 == node.children.size() ? to : place();
          PONDER_TRY(expand(node.children[i], from, next, depth + 1));
          from = next;
        }
        return {};
      }
      case Node::Kind::choice:
        for (NodeId child : node.children) PONDER_TRY(expand(child, from, to, depth + 1));
        return {};
      case Node::Kind::repeat: return expand_repeat(node, from, to, depth);
      case Node::Kind::rule: net_.places[from].calls.push_back({node.rule, to}); return {};
    }
    return {};
  }

  Status expand_repeat(const Node& node, std::uint32_t from, std::uint32_t to, std::size_t depth) {
    const NodeId child = node.children[0];
    const bool many = node.min > 1 || (node.max != kNoLimit && node.max > 1);
    const bool as_rule = many && !is_small(syntax_.nodes[child]);
    const auto once = [&](std::uint32_t a, std::uint32_t b) -> Status {
      if (!as_rule) return expand(child, a, b, depth + 1);
      if (++n_steps_ > 4 * Network::kMaxStates)
        return fail(Code::unsupported, "grammar: more than {} states; smaller repeats make fewer", Network::kMaxStates);
      const std::uint32_t rule = shared_rule(child);  // makes places
      net_.places[a].calls.push_back({rule, b});
      return {};
    };
    for (std::uint32_t i = 0; i < node.min; ++i) {
      const std::uint32_t next = place();
      PONDER_TRY(once(from, next));
      if (net_.places.size() > Network::kMaxStates)
        return fail(Code::unsupported, "grammar: more than {} states; smaller repeats make fewer", Network::kMaxStates);
      from = next;
    }
    if (node.max == kNoLimit) {
      const std::uint32_t loop = place();
      empty(from, loop);
      PONDER_TRY(once(loop, loop));
      empty(loop, to);
      return {};
    }
    // A place of its own to begin at: what loops at `from` must not see the edges of the first child, and the other way round.
    const std::uint32_t first = place();
    empty(from, first);
    from = first;
    empty(from, to);
    for (std::uint32_t i = node.min; i < node.max; ++i) {
      const std::uint32_t next = place();
      PONDER_TRY(once(from, next));
      if (net_.places.size() > Network::kMaxStates)
        return fail(Code::unsupported, "grammar: more than {} states; smaller repeats make fewer", Network::kMaxStates);
      empty(next, to);
      from = next;
    }
    return {};
  }

  // Drops edges to places from which their rule cannot be finished. False: the first rule cannot.
  bool trim() {
    const std::size_t n = net_.places.size();
    std::vector<std::vector<std::uint32_t>> before(n);          // places to look at again when this one can finish
    std::vector<std::vector<std::uint32_t>> callers(net_.starts.size());
    std::vector<std::uint32_t> rule_of_start(n, kNone);
    for (std::uint32_t r = 0; r < net_.starts.size(); ++r) rule_of_start[net_.starts[r]] = r;
    std::vector<char> good(n, 0);
    std::vector<std::uint32_t> work;
    for (std::uint32_t p = 0; p < n; ++p) {
      const Network::Place& place = net_.places[p];
      for (const auto& e : place.bytes) before[e.target].push_back(p);
      for (std::uint32_t t : place.empty) before[t].push_back(p);
      for (const auto& c : place.calls) before[c.target].push_back(p), callers[c.rule].push_back(p);
      if (place.final) good[p] = 1, work.push_back(p);
    }
    const auto look = [&](std::uint32_t p) {
      if (good[p]) return;
      const Network::Place& place = net_.places[p];
      bool now = false;
      for (const auto& e : place.bytes) now |= good[e.target] != 0;
      for (std::uint32_t t : place.empty) now |= good[t] != 0;
      for (const auto& c : place.calls) now |= good[c.target] && good[net_.starts[c.rule]];
      if (now) good[p] = 1, work.push_back(p);
    };
    while (!work.empty()) {
      const std::uint32_t p = work.back();
      work.pop_back();
      for (std::uint32_t b : before[p]) look(b);
      if (rule_of_start[p] != kNone)
        for (std::uint32_t b : callers[rule_of_start[p]]) look(b);
    }
    for (Network::Place& place : net_.places) {
      std::erase_if(place.bytes, [&](const auto& e) { return !good[e.target]; });
      std::erase_if(place.empty, [&](std::uint32_t t) { return !good[t]; });
      std::erase_if(place.calls, [&](const auto& c) { return !good[c.target] || !good[net_.starts[c.rule]]; });
    }
    return good[net_.starts[0]] != 0;
  }

  Status check_recursion() {
    const std::size_t n_rules = net_.starts.size();
    std::vector<char> nullable(n_rules, 0);
    std::vector<std::vector<std::uint32_t>> first_calls(n_rules);
    std::vector<std::uint32_t> mark(net_.places.size(), 0);
    std::uint32_t round = 0;
    // Rules whose calls can stand first, until no further one can be empty.
    std::vector<std::uint32_t> work;
    const auto walk = [&](std::uint32_t rule) {
      ++round;
      bool ends = false;
      first_calls[rule].clear();
      work.assign(1, net_.starts[rule]);
      mark[work[0]] = round;
      const auto reach = [&](std::uint32_t p) {
        if (mark[p] != round) mark[p] = round, work.push_back(p);
      };
      while (!work.empty()) {
        const Network::Place& place = net_.places[work.back()];
        work.pop_back();
        ends |= place.final;
        for (std::uint32_t t : place.empty) reach(t);
        for (const auto& c : place.calls) {
          first_calls[rule].push_back(c.rule);
          if (nullable[c.rule]) reach(c.target);
        }
      }
      return ends;
    };
    std::vector<char> queued(n_rules, 1);
    std::vector<std::vector<std::uint32_t>> users(n_rules);
    std::vector<std::uint32_t> queue(n_rules);
    for (std::uint32_t r = 0; r < n_rules; ++r) queue[r] = r;
    while (!queue.empty()) {
      const std::uint32_t r = queue.back();
      queue.pop_back();
      queued[r] = 0;
      const bool ends = walk(r);
      std::sort(first_calls[r].begin(), first_calls[r].end());
      first_calls[r].erase(std::unique(first_calls[r].begin(), first_calls[r].end()), first_calls[r].end());
      for (std::uint32_t c : first_calls[r]) users[c].push_back(r);
      if (!ends || nullable[r]) continue;
      nullable[r] = 1;
      for (std::uint32_t user : users[r])
        if (!queued[user]) queued[user] = 1, queue.push_back(user);
    }
    // A cycle of first calls.
    std::vector<char> colour(n_rules, 0);
    for (std::uint32_t root = 0; root < n_rules; ++root) {
      if (colour[root]) continue;
      std::vector<std::pair<std::uint32_t, std::size_t>> path{{root, 0}};
      colour[root] = 1;
      while (!path.empty()) {
        const std::uint32_t r = path.back().first;
        if (path.back().second == first_calls[r].size()) {
          colour[r] = 2;
          path.pop_back();
          continue;
        }
        const std::uint32_t c = first_calls[r][path.back().second++];
        if (colour[c] == 1)
          return fail(Code::invalid_argument,
                      "grammar: rule '{}' is left-recursive; want what it begins with to be written as a repeat", name(c));
        if (colour[c] == 0) colour[c] = 1, path.push_back({c, 0});
      }
    }
    return {};
  }

  std::string name(std::uint32_t rule) const {
    return rule < syntax_.rules.size() ? syntax_.rules[rule].name : std::string("(a repeated part)");
  }

  void find_tails() {
    for (Network::Place& p : net_.places) p.tail = p.final && p.bytes.empty() && p.calls.empty() && p.empty.empty();
    // Chains of single empty edges to such a place; three rounds find the usual ones.
    for (int round = 0; round < 3; ++round)
      for (Network::Place& p : net_.places)
        if (!p.tail && p.bytes.empty() && p.calls.empty() && p.empty.size() == 1 && net_.places[p.empty[0]].tail) p.tail = true;
  }

  void find_classes() {
    std::array<bool, 257> border{};
    border[0] = true;
    for (const Network::Place& p : net_.places)
      for (const auto& e : p.bytes) border[e.first] = border[e.last + 1u] = true;
    for (std::size_t b = 0; b < 256; ++b) {
      if (border[b]) {
        net_.class_byte.push_back(static_cast<std::uint8_t>(b));
        net_.class_size.push_back(0);
      }
      net_.byte_class[b] = static_cast<std::uint8_t>(net_.class_byte.size() - 1);
      ++net_.class_size.back();
    }
  }

  const Syntax& syntax_;
  Network net_;
  std::vector<std::uint32_t> ends_;
  std::vector<NodeId> shared_;
  std::unordered_map<NodeId, std::uint32_t> shared_ids_;
  std::size_t n_steps_ = 0;
};

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 31;
  h *= 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

std::uint64_t pair_key(std::uint32_t a, std::uint32_t b) { return (std::uint64_t{a} << 32) | b; }

}  // namespace

Result<Network> Network::compile(const Syntax& syntax) { return Compiler(syntax).compile(); }

States::States(std::shared_ptr<const Network> network) : network_(std::move(network)), n_classes_(network_->class_byte.size()) {
  frames_.push_back({0, kNone, 0});  // the empty stack
  (void)intern();                    // the dead state
  reach(network_->starts[0], 0);
  start_ = intern();
}

std::size_t States::bytes() const {
  return frames_.size() * (sizeof(Frame) + 48) + configs_.size() * sizeof(Config) + sets_.size() * (sizeof(Set) + 48) +
         next_.size() * sizeof(std::int32_t);
}

std::uint32_t States::push(std::uint32_t stack, std::uint32_t target) {
  const auto [at, added] = frame_ids_.try_emplace(pair_key(stack, target), static_cast<std::uint32_t>(frames_.size()));
  if (added) frames_.push_back({stack, target, frames_[stack].depth + 1});
  return at->second;
}

void States::reach(std::uint32_t first_place, std::uint32_t first_stack) {
  const auto visit = [&](std::uint32_t place, std::uint32_t stack) {
    if (seen_.size() >= kMaxConfigs) {
      limited_ = true;
      return;
    }
    if (seen_.try_emplace(pair_key(place, stack), true).second) work_.push_back({place, stack});
  };
  visit(first_place, first_stack);
  while (!work_.empty()) {
    const Config at = work_.back();
    work_.pop_back();
    const Network::Place& place = network_->places[at.place];
    if (!place.bytes.empty()) reached_.push_back(at);
    for (std::uint32_t t : place.empty) visit(t, at.stack);
    if (place.final) {
      if (at.stack == 0)
        accepting_ = true;
      else
        visit(frames_[at.stack].target, frames_[at.stack].parent);
    }
    for (const auto& call : place.calls) {
      std::uint32_t stack = at.stack;
      if (!network_->places[call.target].tail) {
        if (frames_[stack].depth >= kMaxDepth) {
          limited_ = true;
          continue;
        }
        stack = push(stack, call.target);
      }
      visit(network_->starts[call.rule], stack);
    }
  }
}

StateId States::intern() {
  std::sort(reached_.begin(), reached_.end());
  reached_.erase(std::unique(reached_.begin(), reached_.end()), reached_.end());
  std::uint64_t hash = accepting_ ? 1 : 2;
  for (const Config& c : reached_) hash = mix(hash ^ pair_key(c.place, c.stack));
  const bool accepting = accepting_;
  accepting_ = false;
  seen_.clear();
  const auto [begin, end] = set_ids_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    const Set& set = sets_[at->second];
    if (set.accepting == accepting && set.count == reached_.size() &&
        std::equal(reached_.begin(), reached_.end(), configs_.begin() + static_cast<std::ptrdiff_t>(set.begin))) {
      reached_.clear();
      return at->second;
    }
  }
  const auto id = static_cast<StateId>(sets_.size());
  sets_.push_back({configs_.size(), static_cast<std::uint32_t>(reached_.size()), accepting});
  configs_.insert(configs_.end(), reached_.begin(), reached_.end());
  next_.resize(sets_.size() * n_classes_, reached_.empty() ? 0 : -1);
  set_ids_.emplace(hash, id);
  reached_.clear();
  return id;
}

StateId States::find_next(StateId state, std::uint8_t byte_class) {
  const std::uint8_t byte = network_->class_byte[byte_class];
  const Set set = sets_[state];
  for (std::size_t i = set.begin; i < set.begin + set.count; ++i) {
    const Config at = configs_[i];
    for (const auto& e : network_->places[at.place].bytes)
      if (e.first <= byte && byte <= e.last) reach(e.target, at.stack);
  }
  const StateId id = intern();
  next_[state * n_classes_ + byte_class] = static_cast<std::int32_t>(id);
  return id;
}

StateId States::import(const States& from, StateId state) {
  const Set& set = from.sets_[state];
  std::vector<std::uint32_t> targets;
  for (std::size_t i = set.begin; i < set.begin + set.count; ++i) {
    targets.clear();
    for (std::uint32_t s = from.configs_[i].stack; s != 0; s = from.frames_[s].parent) targets.push_back(from.frames_[s].target);
    std::uint32_t stack = 0;
    for (auto t = targets.rbegin(); t != targets.rend(); ++t) stack = push(stack, *t);
    reached_.push_back({from.configs_[i].place, stack});
  }
  accepting_ = set.accepting;
  return intern();
}

}  // namespace ponder::core::grammar
