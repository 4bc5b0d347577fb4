// A reply that says what a test wants: a user's sampler that picks given ids one after another, then the end token.
#pragma once

#include <vector>

#include "tests/lib/session/session_fixture.h"

namespace ponder::core {

// Ids of the default model: bytes are themselves.
inline constexpr TokenId kEos = 257, kThinkStart = 260, kThinkEnd = 261;

struct Script {
  std::vector<TokenId> ids;
  std::size_t next = 0;

  explicit Script(std::vector<TokenId> script_ids) : ids(std::move(script_ids)) {}
  // Text with "<think>" and "</think>" as their tokens and "$" as the end token.
  explicit Script(std::string_view text) {
    while (!text.empty()) {
      if (text.starts_with("<think>")) {
        ids.push_back(kThinkStart), text.remove_prefix(7);
      } else if (text.starts_with("</think>")) {
        ids.push_back(kThinkEnd), text.remove_prefix(8);
      } else {
        ids.push_back(text[0] == '$' ? kEos : static_cast<unsigned char>(text[0])), text.remove_prefix(1);
      }
    }
  }
  // The session keeps a pointer to the script.
  UserSampler sampler() {
    return {[](void* user_data, float*, std::size_t, TokenId* out_id) {
              Script& script = *static_cast<Script*>(user_data);
              *out_id = script.next < script.ids.size() ? script.ids[script.next++] : kEos;
              return 0;
            },
            this};
  }
};

inline void follow(Session& session, Script& script, GenerateParams params = {}) {
  params.sampling.user_sampler = script.sampler();
  const Status status = session.set_generate_params(params);
  REQUIRE_MESSAGE(status.ok(), status.message());
}

// What a host sees of one event, with its text.
struct Seen {
  TokenId id;
  Channel channel;
  bool forced;
  std::string text;
  float logprob;
  bool operator==(const Seen&) const = default;
};

inline std::vector<Seen> watch(Session& session, std::size_t limit = 1000) {
  std::vector<Seen> seen;
  TokenEvent event;
  while (seen.size() < limit && session.next(event).ok())
    seen.push_back({event.id, event.channel, event.forced, std::string(event.text), event.logprob});
  return seen;
}

inline std::string text_of(const std::vector<Seen>& seen, Channel channel) {
  std::string text;
  for (const Seen& s : seen)
    if (s.channel == channel) text += s.text;
  return text;
}

}  // namespace ponder::core
