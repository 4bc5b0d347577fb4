#include "lib/session/loop_detector.h"

#include <algorithm>

namespace ponder::core {

namespace {

// Polynomial hash of a window, modulo 2^64; kLast = kBase^kWindow takes the oldest id out again.
constexpr std::uint64_t kBase = 0x9e3779b97f4a7c15u;
constexpr std::uint64_t power(std::uint64_t base, std::size_t n) { return n == 0 ? 1 : base * power(base, n - 1); }
constexpr std::uint64_t kLast = power(kBase, LoopDetector::kWindow);
constexpr std::uint64_t term(TokenId id) { return (static_cast<std::uint64_t>(id) + 1) * 0xbf58476d1ce4e5b9u; }

constexpr std::size_t longest_run(std::size_t period) { return period < 4 ? 48 : std::max<std::size_t>(64, 3 * period); }

}  // namespace

void LoopDetector::create() {
  if (created()) return;
  hashes_.resize(kHistory);
  ids_.resize(kHistory);
}

void LoopDetector::reset() {
  n_ = 0;
  hash_ = 0;
  runs_.fill(0);
}

bool LoopDetector::push(TokenId id) {
  const std::size_t t = n_++;
  bool loops = false;
  for (std::size_t period = 1; period <= std::min(t, kMaxPeriod); ++period) {
    std::uint32_t& run = runs_[period];
    run = ids_[(t - period) % kHistory] == id ? run + 1 : 0;
    loops |= run >= longest_run(period);
  }
  hash_ = hash_ * kBase + term(id);
  if (t >= kWindow) hash_ -= term(ids_[(t - kWindow) % kHistory]) * kLast;
  ids_[t % kHistory] = id;
  hashes_[t % kHistory] = hash_;
  if (loops || t + 1 < kWindow * kMaxSeen) return loops;

  std::size_t n_seen = 1, next = t;  // windows before may end at next - kWindow at the latest
  const std::size_t oldest = std::max(kWindow - 1, t + 1 - std::min(t + 1, kHistory));
  for (std::size_t end = t; next >= oldest + kWindow && end-- > oldest;) {
    if (end + kWindow > next || hashes_[end % kHistory] != hash_) continue;
    next = end;
    if (++n_seen == kMaxSeen) return true;
  }
  return false;
}

}  // namespace ponder::core
