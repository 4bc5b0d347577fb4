// A folder that holds models: a checkpoint, GGUF files, or both.
#include <cctype>
#include <system_error>

#include "lib/base/format.h"
#include "lib/io/file_source.h"
#include "lib/io/folder.h"
#include "lib/io/gguf_part_name.h"
#include "lib/io/model_store_parts.h"
#include "lib/io/path_text.h"

namespace ponder::core::store {

namespace {

constexpr int kMaxDepth = 3;  // repositories keep large GGUF files in folders per quantisation

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::int64_t bytes_of(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t n = fs::file_size(path, error);  // follows the links of the hub cache
  return error ? 0 : static_cast<std::int64_t>(n);
}

// GGUF models below a folder, by their names within it; of split ones the first part. Projectors and importance matrices
// are none.
struct GgufModel {
  std::string file;
  std::int64_t n_bytes = 0;  // of all parts
};
void collect(const fs::path& folder, const std::string& prefix, int depth, std::vector<GgufModel>& out) {
  const std::vector<std::string> names = names_in(folder);
  for (const std::string& name : names) {
    const fs::path path = folder / to_path(name);
    std::error_code error;
    if (fs::is_directory(path, error)) {
      if (depth < kMaxDepth && !fs::is_symlink(path, error)) collect(path, prefix + name + "/", depth + 1, out);
      continue;
    }
    const std::string small = lower(name);
    if (!small.ends_with(".gguf") || small.starts_with("mmproj") || small.find("imatrix") != small.npos) continue;
    const std::optional<GgufPartName> part = gguf_part_name(name);
    if (part && part->number > 1) continue;
    GgufModel model{prefix + name, 0};
    for (const std::string& other : names) {
      const std::optional<GgufPartName> further = gguf_part_name(other);
      if (other == name || (part && further && further->number > 1 && further->stem == part->stem))
        model.n_bytes += bytes_of(folder / to_path(other));
    }
    out.push_back(std::move(model));
  }
}
std::vector<GgufModel> gguf_models(const fs::path& folder) {
  std::vector<GgufModel> models;
  collect(folder, "", 1, models);
  return models;
}

// "Q4_K_M" is meant by "model-Q4_K_M.gguf" and by "q4_k_m/model.gguf", not by "model-IQ4_K_M.gguf".
bool has_tag(const std::string& file, const std::string& tag) {
  const std::string text = lower(file), part = lower(tag);
  const auto inside = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) {
    const std::size_t end = at + part.size();
    if ((at == 0 || !inside(text[at - 1])) && (end == text.size() || !inside(text[end]))) return true;
  }
  return false;
}

bool is_checkpoint(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / "config.json", error);
}

}  // namespace

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names = names_in_folder(folder);
  std::erase_if(names, [](const std::string& name) { return name.starts_with('.'); });
  return names;
}

std::optional<RepositoryName> parse_repository(std::string_view name) {
  RepositoryName parsed;
  if (const std::size_t colon = name.rfind(':'); colon != name.npos) {
    parsed.tag = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (parsed.tag.empty() || parsed.tag.find('/') != std::string::npos) return std::nullopt;
  }
  if (!check_file_name(name).ok()) return std::nullopt;
  const std::size_t first = name.find('/');
  const std::size_t second = first == name.npos ? name.npos : name.find('/', first + 1);
  parsed.repository = name.substr(0, second);
  if (second != name.npos) parsed.file = name.substr(second + 1);
  if (!parsed.file.empty() && !parsed.tag.empty()) return std::nullopt;
  return parsed;
}

Result<std::optional<fs::path>> pick_model(const fs::path& folder, const RepositoryName& name) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return std::optional<fs::path>();
  if (!name.file.empty()) {
    const fs::path file = folder / to_path(name.file);
    if (fs::is_regular_file(file, error)) return std::optional(file);
    return fail(Code::not_found, "{}: {} has no file {}", name.repository, to_text(folder), name.file);
  }
  if (name.tag.empty() && is_checkpoint(folder)) return std::optional(folder);
  const std::vector<GgufModel> models = gguf_models(folder);
  std::vector<std::string> fitting;
  std::string all;
  for (const GgufModel& model : models) {
    if (name.tag.empty() || has_tag(model.file, name.tag)) fitting.push_back(model.file);
    all += (all.empty() ? "" : ", ") + model.file;
  }
  if (name.tag.empty() && fitting.size() > 1) {  // what llama.cpp takes for such a name
    std::vector<std::string> usual;
    for (const std::string& file : fitting)
      if (has_tag(file, "Q4_K_M")) usual.push_back(file);
    if (usual.size() == 1) fitting = usual;
  }
  if (fitting.size() == 1) return std::optional(folder / to_path(fitting[0]));
  if (models.empty())
    return fail(Code::not_found, "{}: neither config.json nor a GGUF file in {}", name.repository, to_text(folder));
  return fail(Code::not_found, "{}: {} of its GGUF files {}, name one: {}", name.repository,
              fitting.empty() ? "none" : std::to_string(fitting.size()),
              name.tag.empty() ? std::string("could be meant") : formatted("have '{}' in their names", name.tag), all);
}

void list_folder(const fs::path& folder, const std::string& name, const char* program, std::vector<FoundModel>& out) {
  const std::vector<GgufModel> models = gguf_models(folder);
  if (is_checkpoint(folder)) {
    FoundModel model{name, program, folder, 0, ""};
    for (const std::string& file : names_in(folder))
      if (file.ends_with(".safetensors")) model.n_bytes += bytes_of(folder / to_path(file));
    if (model.n_bytes == 0) model.problem = formatted("no weights (*.safetensors) in {}", to_text(folder));
    // A repository of GGUF files may carry the config.json of what they were made of.
    if (model.n_bytes > 0 || models.empty()) out.push_back(std::move(model));
  }
  for (const GgufModel& model : models)
    out.push_back({name + "/" + model.file, program, folder / to_path(model.file), model.n_bytes, ""});
}

}  // namespace ponder::core::store
