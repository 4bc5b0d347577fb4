// Values of ponder.h and what they are in lib/. Every number that is not meant is refused by name.
#pragma once

#include <filesystem>
#include <span>

#include "capi/handles.h"
#include "capi/params.h"
#include "lib/io/host_files.h"
#include "lib/io/json.h"

namespace ponder::capi {

std::filesystem::path to_path(const char* utf8);
core::Status to_core(const ponder_session_params* params, core::SessionParams& out);
core::Status to_core(const ponder_generate_params* params, core::GenerateParams& out);
// NULL: the controller is off.
core::Status to_core(const ponder_reasoning_params* params, core::ReasoningParams& out);
// `arrays` of a session take the arrays; none are returned without it.
ponder_generate_params to_c(const core::GenerateParams& params, ponder_session* arrays);
core::Status memory_files(const ponder_memory_file* files, std::size_t n_files,
                          std::shared_ptr<const core::FileSource>& out);

// The host's files; null `files` is refused.
core::Status host_files(const ponder_file_system* files, core::HostFiles& out);

// Broken JSON from the caller is an invalid_argument, not a bad_file.
core::Status parse_argument(const char* name, const char* text, std::size_t size, core::Json& out);

// messages_json in both of its forms, and kwargs_json.
struct Conversation {
  core::Json messages, tools, kwargs;
  bool add_generation_prompt = true;
};
core::Status read_conversation(const char* messages_json, std::size_t messages_json_len, const char* kwargs_json,
                               std::size_t kwargs_json_len, std::uint32_t flags, Conversation& out);

inline ponder_buffer* new_buffer(std::string bytes, core::MemoryCharge charge = {}) {
  return new ponder_buffer{std::move(charge), std::move(bytes)};
}

}  // namespace ponder::capi
