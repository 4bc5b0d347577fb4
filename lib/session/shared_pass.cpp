#include "lib/session/shared_pass.h"

#include <algorithm>

#include "lib/session/session_state.h"

namespace ponder::core {

void SharedPass::reserve(std::size_t max_members, std::size_t max_rows) {
  members_.reserve(max_members);
  ids_.reserve(max_rows);
  sequences_.reserve(max_members);
  logits_rows_.reserve(max_members);
}

void SharedPass::clear() {
  members_.clear();
  ids_.clear();
  sequences_.clear();
  logits_rows_.clear();
  forward_ = nullptr;
}

void SharedPass::add(Session::State& member, std::size_t n_rows) {
  const std::span<const TokenId> ids = std::span(member.tokens).subspan(member.kv.n_tokens(), n_rows);
  members_.push_back(&member);
  sequences_.push_back({&member.kv, ids_.size(), n_rows});
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  if (n_rows == member.n_pending()) logits_rows_.push_back(ids_.size() - 1);
}

Status SharedPass::begin(Forward& forward) {
  for (Session::State* member : members_) member->pass = nullptr;
  PONDER_TRY(forward.begin({ids_, sequences_, logits_rows_}));
  for (Session::State* member : members_) member->pass = &forward;
  forward_ = &forward;
  return {};
}

bool SharedPass::intact() const {
  return std::all_of(members_.begin(), members_.end(), [&](const Session::State* m) { return m->pass == forward_; });
}

void SharedPass::drop() { clear(); }

Status SharedPass::advance(Forward::Clock::time_point deadline) {
  const Forward::Clock::time_point start = Forward::Clock::now();
  Status status = forward_->advance(deadline);
  const double ms = std::chrono::duration<double, std::milli>(Forward::Clock::now() - start).count();
  std::size_t logits_row = 0;
  for (Session::State* member : members_) {
    (member->infos.back().generated ? member->stats.decode_ms : member->stats.prefill_ms) += ms;
    if (status.code() == Code::pending) continue;
    member->pass = nullptr;
    if (!status.ok() || member->n_pending() > 0) continue;
    const float* row = forward_->logits().row(logits_row++);
    std::copy(row, row + member->logits.size(), member->logits.begin());
    member->computed();
  }
  if (status.code() != Code::pending) forward_ = nullptr;
  return status;
}

}  // namespace ponder::core
