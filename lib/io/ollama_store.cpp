// Ollama: manifests/HOST/NAMESPACE/MODEL/TAG, JSON whose layer of media type ...image.model names a GGUF file,
// blobs/sha256-HASH.
#include <cctype>
#include <system_error>

#include "lib/base/format.h"
#include "lib/io/file_source.h"
#include "lib/io/json.h"
#include "lib/io/model_store_parts.h"
#include "lib/io/path_text.h"

namespace ponder::core::store {

namespace {

constexpr const char* kHost = "registry.ollama.ai";
constexpr const char* kNamespace = "library";
constexpr const char* kTag = "latest";
constexpr std::string_view kModelLayer = "application/vnd.ollama.image.model";
constexpr std::size_t kMaxManifestBytes = std::size_t{1} << 20;

struct Blob {
  fs::path path;
  std::int64_t n_bytes = 0;
};

// "sha256:HASH" as the name of its file.
Result<std::string> blob_name(const std::string& digest, std::string_view manifest) {
  constexpr std::string_view kKind = "sha256:";
  bool good = digest.starts_with(kKind) && digest.size() == kKind.size() + 64;
  for (std::size_t i = kKind.size(); good && i < digest.size(); ++i)
    good = std::isxdigit(static_cast<unsigned char>(digest[i])) != 0;
  if (!good) return fail(Code::bad_file, "{}: digest '{}', want sha256: and 64 hexadecimal digits", manifest, digest);
  return "sha256-" + digest.substr(kKind.size());
}

// The weights that `manifest`, a name inside `folder`, stands for.
Result<Blob> blob_of(const fs::path& folder, const std::string& manifest) {
  PONDER_ASSIGN(const FileView file, folder_source(folder)->open(manifest));
  PONDER_ASSIGN(const Json json, parse_json(file.text(), file.name, {.max_bytes = kMaxManifestBytes, .max_depth = 16}));
  const Json* layers = json.find("layers");
  if (!layers || !layers->is_array()) return fail(Code::bad_file, "{}: no list of layers", file.name);
  std::optional<Blob> blob;
  for (const Json& layer : layers->as_array()) {
    const Json *type = layer.find("mediaType"), *digest = layer.find("digest"), *size = layer.find("size");
    if (!type || !type->is_string() || type->as_string() != kModelLayer) continue;
    if (blob) return fail(Code::unsupported, "{}: more than one layer of weights", file.name);
    if (!digest || !digest->is_string()) return fail(Code::bad_file, "{}: a layer without a digest", file.name);
    PONDER_ASSIGN(const std::string name, blob_name(digest->as_string(), file.name));
    blob = Blob{folder / "blobs" / name, 0};
    std::error_code error;
    const std::uintmax_t n = fs::file_size(blob->path, error);
    if (error) return fail(Code::not_found, "{}: its weights are missing: {}", file.name, to_text(blob->path));
    blob->n_bytes = static_cast<std::int64_t>(n);
    if (size && size->is_int() && size->as_int() != blob->n_bytes)
      return fail(Code::bad_file, "{}: {} bytes, want the {} of {}: a download that was not finished?", to_text(blob->path),
                  blob->n_bytes, size->as_int(), file.name);
  }
  if (!blob) return fail(Code::unsupported, "{}: no layer of weights in GGUF ({})", file.name, kModelLayer);
  return *blob;
}

bool same_letters(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i]))) return false;
  return true;
}

// The entry of that name; Ollama takes names in capital or small letters.
std::optional<std::string> entry_of(const fs::path& folder, std::string_view name) {
  std::error_code error;
  if (fs::exists(folder / to_path(name), error) && !error) return std::string(name);
  for (const std::string& entry : names_in(folder))
    if (same_letters(entry, name)) return entry;
  return std::nullopt;
}

}  // namespace

Result<std::optional<fs::path>> find_ollama(std::string_view name, const fs::path& folder) {
  std::string parts[4] = {kHost, kNamespace, "", kTag};
  if (const std::size_t colon = name.rfind(':'); colon != name.npos && name.find('/', colon) == name.npos) {
    parts[3] = name.substr(colon + 1);
    name = name.substr(0, colon);
  }
  int part = 2;
  for (; part >= 0 && !name.empty(); --part) {
    const std::size_t slash = name.rfind('/');
    parts[part] = slash == name.npos ? name : name.substr(slash + 1);
    name = slash == name.npos ? std::string_view() : name.substr(0, slash);
  }
  if (!name.empty()) return std::optional<fs::path>();  // more than three
  std::string manifest = "manifests";
  for (const std::string& wanted : parts) {
    if (!check_file_name(wanted).ok()) return std::optional<fs::path>();
    const std::optional<std::string> entry = entry_of(folder / to_path(manifest), wanted);
    if (!entry) return std::optional<fs::path>();
    manifest += "/" + *entry;
  }
  PONDER_ASSIGN(const Blob blob, blob_of(folder, manifest));
  return std::optional(blob.path);
}

void list_ollama(const fs::path& folder, std::vector<FoundModel>& out) {
  const fs::path manifests = folder / "manifests";
  for (const std::string& host : names_in(manifests))
    for (const std::string& space : names_in(manifests / to_path(host)))
      for (const std::string& model : names_in(manifests / to_path(host) / to_path(space)))
        for (const std::string& tag : names_in(manifests / to_path(host) / to_path(space) / to_path(model))) {
          const std::string manifest = formatted("manifests/{}/{}/{}/{}", host, space, model, tag);
          std::string name = model + ":" + tag;
          if (host != kHost) name = formatted("{}/{}/{}", host, space, name);
          else if (space != kNamespace) name = formatted("{}/{}", space, name);
          auto blob = blob_of(folder, manifest);
          if (blob.ok()) out.push_back({name, "ollama", blob->path, blob->n_bytes, ""});
          else out.push_back({name, "ollama", folder / to_path(manifest), 0, blob.status().message()});
        }
}

}  // namespace ponder::core::store
