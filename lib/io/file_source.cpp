#include "lib/io/file_source.h"

#include <system_error>

#include "lib/base/format.h"
#include "lib/io/folder.h"
#include "lib/io/gguf_part_name.h"
#include "lib/io/mapped_file.h"
#include "lib/io/path_text.h"

namespace ponder::core {
namespace {

// Among the files of a folder without config.json: the one GGUF model, if there is exactly one. Projectors of vision models
// and the further parts of a split file are none.
class OnlyGguf {
 public:
  void see(std::string_view name) {
    if (name == "config.json") config_ = true;
    if (!name.ends_with(".gguf") || name.starts_with("mmproj")) return;
    if (const auto part = gguf_part_name(name); part && part->number > 1) return;
    found_ = name;
    ++n_;
  }
  std::string name() const { return n_ == 1 && !config_ ? found_ : ""; }

 private:
  std::string found_;
  int n_ = 0;
  bool config_ = false;
};

class FolderSource final : public FileSource {
 public:
  // `gguf`: the file in the folder that was named, or empty.
  FolderSource(std::filesystem::path folder, std::filesystem::path gguf)
      : folder_(std::move(folder)), gguf_(std::move(gguf)), gguf_name_(to_text(gguf_)) {}

  Result<FileView> open(std::string_view name) const override {
    PONDER_TRY(check(name));
    PONDER_ASSIGN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path_of(name)));
    return FileView{file->name(), file->bytes(), file, file.get()};
  }

  bool exists(std::string_view name) const override {
    if (!check(name).ok()) return false;
    std::error_code error;
    return std::filesystem::exists(path_of(name), error) && !error;
  }

  Status check() const override {
    std::error_code error;
    if (!gguf_.empty()) {
      if (std::filesystem::exists(folder_ / gguf_, error) && !error) return {};
      return fail(Code::not_found, "{}: no such file", describe());
    }
    if (std::filesystem::is_directory(folder_, error)) return {};
    if (std::filesystem::exists(folder_, error) && !error)
      return fail(Code::not_found, "{}: a file, wanted the folder of a checkpoint or a GGUF file", describe());
    if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
      return fail(Code::io, "{}: cannot look: {}", describe(), error.message());
    return fail(Code::not_found, "{}: no such folder", describe());
  }

  std::string describe() const override { return to_text(gguf_.empty() ? folder_ : folder_ / gguf_); }

  std::string gguf_file() const override {
    if (!gguf_.empty()) return gguf_name_;
    OnlyGguf only;
    for (const std::string& name : names_in_folder(folder_)) only.see(name);
    return only.name();
  }

 private:
  // The file that the user named may be called as the system allows.
  Status check(std::string_view name) const { return name == gguf_name_ && !name.empty() ? Status() : check_file_name(name); }
  std::filesystem::path path_of(std::string_view name) const {
    return folder_ / (name == gguf_name_ ? gguf_ : to_path(name));
  }

  std::filesystem::path folder_, gguf_;
  std::string gguf_name_;
};

class MemorySource final : public FileSource {
 public:
  explicit MemorySource(std::vector<MemoryFile> files) : files_(std::move(files)) {}

  Result<FileView> open(std::string_view name) const override {
    PONDER_TRY(check_file_name(name));
    const MemoryFile* file = find(name);
    if (!file) return fail(Code::not_found, "{}: not among the {} files in memory", name, files_.size());
    return FileView{file->name, file->bytes, nullptr};
  }

  bool exists(std::string_view name) const override { return find(name) != nullptr; }
  std::string describe() const override { return "memory"; }
  std::string gguf_file() const override {
    OnlyGguf only;
    for (const MemoryFile& file : files_) only.see(file.name);
    return only.name();
  }

 private:
  const MemoryFile* find(std::string_view name) const {
    for (const MemoryFile& file : files_)
      if (file.name == name) return &file;
    return nullptr;
  }

  std::vector<MemoryFile> files_;
};

}  // namespace

Status check_file_name(std::string_view name) {
  // Backslash and colon separate paths and drives on Windows; a checkpoint that needs them there or elsewhere is
  // refused everywhere, so that it behaves the same.
  bool inside = !name.empty() && name.find_first_of(std::string_view("\\:\0", 3)) == std::string_view::npos;
  for (std::string_view rest = name; inside;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    inside = !part.empty() && part != "." && part != "..";
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (!inside) return fail(Code::invalid_argument, "'{}': not the name of a file inside the checkpoint", name);
  return {};
}

std::shared_ptr<const FileSource> folder_source(std::filesystem::path folder) {
  return std::make_shared<FolderSource>(std::move(folder), std::filesystem::path());
}

std::shared_ptr<const FileSource> path_source(const std::filesystem::path& path) {
  std::error_code ignored;
  bool is_gguf = path.extension() == ".gguf" && !std::filesystem::is_directory(path, ignored);
  if (!is_gguf && std::filesystem::is_regular_file(path, ignored)) {  // a file of Ollama's has no ending
    const Result<std::shared_ptr<const MappedFile>> file = MappedFile::open(path);
    is_gguf = file.ok() && (*file)->text().starts_with("GGUF");
  }
  return is_gguf ? std::make_shared<FolderSource>(path.parent_path(), path.filename()) : folder_source(path);
}

std::shared_ptr<const FileSource> memory_source(std::vector<MemoryFile> files) {
  return std::make_shared<MemorySource>(std::move(files));
}

}  // namespace ponder::core
