#include "lib/io/file_source.h"

#include <system_error>

#include "lib/base/format.h"
#include "lib/io/mapped_file.h"

namespace ponder::core {
namespace {

std::filesystem::path to_path(std::string_view name) { return std::u8string(name.begin(), name.end()); }

class FolderSource final : public FileSource {
 public:
  explicit FolderSource(std::filesystem::path folder) : folder_(std::move(folder)) {}

  Result<FileView> open(std::string_view name) const override {
    PONDER_TRY(check_file_name(name));
    PONDER_ASSIGN(const std::shared_ptr<const MappedFile> file, MappedFile::open(folder_ / to_path(name)));
    return FileView{file->name(), file->bytes(), file};
  }

  bool exists(std::string_view name) const override {
    if (!check_file_name(name).ok()) return false;
    std::error_code error;
    return std::filesystem::exists(folder_ / to_path(name), error) && !error;
  }

  Status check() const override {
    std::error_code error;
    if (std::filesystem::is_directory(folder_, error)) return {};
    if (std::filesystem::exists(folder_, error) && !error)
      return fail(Code::not_found, "{}: a file, wanted the folder of a checkpoint", describe());
    if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
      return fail(Code::io, "{}: cannot look: {}", describe(), error.message());
    return fail(Code::not_found, "{}: no such folder", describe());
  }

  std::string describe() const override {
    const std::u8string text = folder_.u8string();
    return {text.begin(), text.end()};
  }

 private:
  std::filesystem::path folder_;
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
  return std::make_shared<FolderSource>(std::move(folder));
}

std::shared_ptr<const FileSource> memory_source(std::vector<MemoryFile> files) {
  return std::make_shared<MemorySource>(std::move(files));
}

}  // namespace ponder::core
