// The hub cache: models--ORGANISATION--NAME/{refs/REVISION, snapshots/COMMIT/files}; the files are links to blobs.
#include <system_error>

#include "lib/base/format.h"
#include "lib/io/file_source.h"
#include "lib/io/model_store_parts.h"
#include "lib/io/path_text.h"

namespace ponder::core::store {

namespace {

constexpr std::string_view kPrefix = "models--";

// The snapshot that `revision` names, by itself or through refs; empty: there is none.
Result<fs::path> snapshot_of(const fs::path& repository, const std::string& revision) {
  const fs::path snapshots = repository / "snapshots";
  std::error_code error;
  if (!check_file_name(revision).ok()) return fail(Code::invalid_argument, "'{}': not the name of a revision", revision);
  if (fs::is_directory(snapshots / to_path(revision), error)) return snapshots / to_path(revision);
  const auto source = folder_source(repository);
  if (const std::string reference = "refs/" + revision; source->exists(reference)) {
    PONDER_ASSIGN(const FileView file, source->open(reference));
    const std::string_view text = file.text();
    const std::string_view commit = text.substr(0, text.find_first_of(" \r\n"));
    if (!check_file_name(commit).ok() || commit.find('/') != commit.npos)
      return fail(Code::bad_file, "{}: not the name of a commit", file.name);
    if (fs::is_directory(snapshots / to_path(commit), error)) return snapshots / to_path(commit);
    return fail(Code::not_found, "{}: names commit {}, which is not in {}", file.name, commit, to_text(snapshots));
  }
  // Downloads of single commits leave no refs behind.
  if (const std::vector<std::string> all = names_in(snapshots); revision == "main" && all.size() == 1)
    return snapshots / to_path(all[0]);
  return fail(Code::not_found, "{}: no revision '{}'", to_text(repository), revision);
}

}  // namespace

Result<std::optional<fs::path>> find_hugging_face(std::string_view name, const fs::path& folder) {
  std::string revision = "main";
  if (const std::size_t at = name.find('@'); at != name.npos) {
    revision = name.substr(at + 1);
    name = name.substr(0, at);
  }
  if (name.starts_with("hf.co/")) name.remove_prefix(6);
  std::optional<RepositoryName> parsed = parse_repository(name);
  if (!parsed) return std::optional<fs::path>();
  std::string repository(kPrefix);
  for (const char c : parsed->repository) c == '/' ? repository += "--" : repository += c;
  std::error_code error;
  if (!fs::is_directory(folder / to_path(repository), error)) return std::optional<fs::path>();
  PONDER_ASSIGN(const fs::path snapshot, snapshot_of(folder / to_path(repository), revision));
  return pick_model(snapshot, *parsed);
}

void list_hugging_face(const fs::path& folder, std::vector<FoundModel>& out) {
  for (const std::string& entry : names_in(folder)) {
    if (!entry.starts_with(kPrefix)) continue;
    std::string name = entry.substr(kPrefix.size());
    if (const std::size_t dashes = name.find("--"); dashes != name.npos) name.replace(dashes, 2, "/");
    const auto snapshot = snapshot_of(folder / to_path(entry), "main");
    if (snapshot.ok()) list_folder(*snapshot, name, "huggingface", out);
    else out.push_back({name, "huggingface", folder / to_path(entry), 0, snapshot.status().message()});
  }
}

}  // namespace ponder::core::store
