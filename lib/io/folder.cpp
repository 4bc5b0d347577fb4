#include "lib/io/folder.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "lib/io/path_text.h"

#ifdef _WIN32
#include "lib/base/win32.h"
#else
#include <dirent.h>
#endif

namespace ponder::core {
namespace {

constexpr std::size_t kMaxNames = 100'000;

bool is_name(std::string_view name) { return name != "." && name != ".."; }

#ifdef _WIN32
struct CloseSearch {
  using pointer = HANDLE;
  void operator()(HANDLE search) const { FindClose(search); }
};

void collect(const std::filesystem::path& folder, std::vector<std::string>& names) {
  WIN32_FIND_DATAW found;
  const HANDLE search = FindFirstFileW((folder / L"*").c_str(), &found);
  if (search == INVALID_HANDLE_VALUE) return;
  const std::unique_ptr<HANDLE, CloseSearch> closed(search);
  do {
    std::string name = to_text(std::filesystem::path(found.cFileName));
    if (is_name(name)) names.push_back(std::move(name));
  } while (names.size() < kMaxNames && FindNextFileW(search, &found));
}
#else
struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

void collect(const std::filesystem::path& folder, std::vector<std::string>& names) {
  const std::unique_ptr<DIR, CloseFolder> opened(::opendir(folder.c_str()));
  if (!opened) return;
  while (const dirent* entry = names.size() < kMaxNames ? ::readdir(opened.get()) : nullptr)
    if (is_name(entry->d_name)) names.emplace_back(entry->d_name);
}
#endif

}  // namespace

std::vector<std::string> names_in_folder(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  collect(folder, names);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ponder::core
