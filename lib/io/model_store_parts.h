// The stores behind model_store.h, one file each.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/model_store.h"

namespace ponder::core::store {

namespace fs = std::filesystem;

// Each: the model of that name in one folder of the store, or nothing when it has none.
Result<std::optional<fs::path>> find_ollama(std::string_view name, const fs::path& folder);
Result<std::optional<fs::path>> find_hugging_face(std::string_view name, const fs::path& folder);
Result<std::optional<fs::path>> find_lm_studio(std::string_view name, const fs::path& folder);

void list_ollama(const fs::path& folder, std::vector<FoundModel>& out);
void list_hugging_face(const fs::path& folder, std::vector<FoundModel>& out);
void list_lm_studio(const fs::path& folder, std::vector<FoundModel>& out);

// "A/B/FILE.gguf", "A/B:TAG" or "A/B" in its parts.
struct RepositoryName {
  std::string repository;  // "A/B"; "B" alone is a name of the hub, too
  std::string file, tag;   // at most one of them
};
std::optional<RepositoryName> parse_repository(std::string_view name);

// What a model's folder holds: the folder itself when it is a checkpoint with config.json, the GGUF file that is meant, or
// nothing. `name` is for messages.
Result<std::optional<fs::path>> pick_model(const fs::path& folder, const RepositoryName& name);
// Every model of the folder; `name` is that of the folder.
void list_folder(const fs::path& folder, const std::string& name, const char* program, std::vector<FoundModel>& out);

// Names in a folder, sorted; empty where it cannot be read. Hidden ones are left out.
std::vector<std::string> names_in(const fs::path& folder);

}  // namespace ponder::core::store
