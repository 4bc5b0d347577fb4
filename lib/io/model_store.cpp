#include "lib/io/model_store.h"

#include <system_error>

#include "lib/base/format.h"
#include "lib/io/file_source.h"
#include "lib/io/model_store_parts.h"
#include "lib/io/path_text.h"

namespace ponder::core {

namespace fs = std::filesystem;

namespace {

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) && !error;
}

// A user who writes this means a path and nothing else.
bool looks_like_path(std::string_view name) {
  return name.starts_with('/') || name.starts_with("./") || name.starts_with("../") || name == "." || name == ".." ||
         name.find('\\') != name.npos || (name.size() > 2 && name[1] == ':' && name[2] == '/');
}

// The path itself, or, of a folder that is no checkpoint but holds several GGUF files, the one that is meant.
Result<fs::path> resolve_path(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error) || is_there(path / "config.json") || is_there(path / "tokenizer.json") ||
      !path_source(path)->gguf_file().empty())
    return path;
  std::vector<FoundModel> models;
  store::list_folder(path, "", "", models);
  if (models.empty()) return path;
  PONDER_ASSIGN(const std::optional<fs::path> picked, store::pick_model(path, {to_text(path), "", ""}));
  return picked.value_or(path);
}

// LM Studio's own folder, when it was moved: the first line of a file in the home folder.
fs::path home_pointer(const fs::path& home) {
  const auto file = folder_source(home)->open(".lmstudio-home-pointer");
  if (!file.ok()) return {};
  const std::string_view text = file->text().substr(0, 4096);
  return to_path(text.substr(0, text.find_first_of("\r\n")));
}

}  // namespace

ModelFolders model_folders(const std::function<std::string(const char*)>& variable) {
  ModelFolders folders;
  std::string home_text = variable("HOME");
  if (home_text.empty()) home_text = variable("USERPROFILE");
  const fs::path home = to_path(home_text);

  if (const std::string ollama = variable("OLLAMA_MODELS"); !ollama.empty()) {
    folders.ollama.push_back(to_path(ollama));
  } else {
    if (!home.empty()) folders.ollama.push_back(home / ".ollama" / "models");
    folders.ollama.push_back("/usr/share/ollama/.ollama/models");  // of the Linux service
  }

  const std::string hub = variable("HF_HUB_CACHE"), hugging_face = variable("HF_HOME"), cache = variable("XDG_CACHE_HOME");
  if (!hub.empty()) folders.hugging_face.push_back(to_path(hub));
  else if (!hugging_face.empty()) folders.hugging_face.push_back(to_path(hugging_face) / "hub");
  else if (!cache.empty()) folders.hugging_face.push_back(to_path(cache) / "huggingface" / "hub");
  else if (!home.empty()) folders.hugging_face.push_back(home / ".cache" / "huggingface" / "hub");

  if (!home.empty()) {
    const fs::path moved = home_pointer(home);
    folders.lm_studio.push_back((moved.empty() ? home / ".lmstudio" : moved) / "models");
    folders.lm_studio.push_back(home / ".cache" / "lm-studio" / "models");  // of older versions
  }
  return folders;
}

Result<fs::path> resolve_model(std::string_view name, const ModelFolders& folders) {
  if (name.empty()) return fail(Code::invalid_argument, "the name of a model is empty");
  if (name.find('\0') != name.npos) return fail(Code::invalid_argument, "the name of a model holds a zero byte");
  if (const fs::path path = to_path(name); is_there(path)) return resolve_path(path);
  if (looks_like_path(name)) return fail(Code::not_found, "{}: no such file or folder", name);
  using Find = Result<std::optional<fs::path>>(std::string_view, const fs::path&);
  struct Store {
    Find* find;
    const std::vector<fs::path>& folders;
    const char* title;
  };
  const Store ollama{store::find_ollama, folders.ollama, "Ollama"},
      hugging_face{store::find_hugging_face, folders.hugging_face, "the Hugging Face hub cache"},
      lm_studio{store::find_lm_studio, folders.lm_studio, "LM Studio"};
  // "A/B" is what the hub and LM Studio say, "B:tag" what Ollama says.
  const bool slash = name.find('/') != name.npos;
  const Store order[] = {slash ? hugging_face : ollama, slash ? lm_studio : hugging_face, slash ? ollama : lm_studio};
  std::string places;
  for (const Store& place : order)
    for (const fs::path& folder : place.folders) {
      PONDER_ASSIGN(const std::optional<fs::path> found, place.find(name, folder));
      if (found) return *found;
      places += formatted("{}{} ({})", places.empty() ? "" : ", ", place.title, to_text(folder));
    }
  return fail(Code::not_found, "no model '{}': no such file or folder, and not in {}", name, places);
}

std::vector<FoundModel> list_models(const ModelFolders& folders) {
  std::vector<FoundModel> found;
  for (const fs::path& folder : folders.ollama) store::list_ollama(folder, found);
  for (const fs::path& folder : folders.hugging_face) store::list_hugging_face(folder, found);
  for (const fs::path& folder : folders.lm_studio) store::list_lm_studio(folder, found);
  return found;
}

}  // namespace ponder::core
