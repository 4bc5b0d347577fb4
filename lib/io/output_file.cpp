#include "lib/io/output_file.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "lib/io/system_file.h"

#ifndef _WIN32
#include <fcntl.h>
#endif

namespace ponder::core {
namespace {

// A name beside `path` that no other write of this or another process uses at the same time.
std::filesystem::path temporary_path(const std::filesystem::path& path, unsigned long process) {
  static std::atomic<unsigned> counter{0};
  std::filesystem::path temporary = path;
  temporary += formatted(".{}-{}.tmp", process, counter.fetch_add(1, std::memory_order_relaxed));
  return temporary;
}

#ifdef _WIN32

class SystemFile final : public OutputFile {
 public:
  SystemFile(const std::filesystem::path& path, bool on_disk)
      : path_(path), on_disk_(on_disk), temporary_(temporary_path(path, GetCurrentProcessId())), name_(to_text(path)),
        handle_(CreateFileW(temporary_.c_str(), GENERIC_WRITE, 0, nullptr, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, nullptr)) {}
  ~SystemFile() override {
    if (!handle_.valid()) return;
    handle_.close();
    DeleteFileW(temporary_.c_str());
  }

  Status opened() const {
    return handle_.valid() ? Status() : system_failure(name_, "create a temporary file beside it");
  }
  Status write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      DWORD written = 0;
      const auto part = static_cast<DWORD>(std::min(bytes.size(), std::size_t{1} << 30));
      if (!WriteFile(handle_.get(), bytes.data(), part, &written, nullptr)) return system_failure(name_, "write");
      bytes = bytes.subspan(written);
    }
    return {};
  }
  Status commit() override {
    if (on_disk_ && !FlushFileBuffers(handle_.get())) return system_failure(name_, "write");
    Status status = handle_.close() ? Status() : system_failure(name_, "close");
    if (status.ok() &&
        !MoveFileExW(temporary_.c_str(), path_.c_str(), MOVEFILE_REPLACE_EXISTING | (on_disk_ ? MOVEFILE_WRITE_THROUGH : 0u)))
      status = system_failure(name_, "rename its temporary file");
    if (!status.ok()) DeleteFileW(temporary_.c_str());
    return status;
  }

 private:
  std::filesystem::path path_;
  bool on_disk_;
  std::filesystem::path temporary_;
  std::string name_;
  Handle handle_;
};

#else

class SystemFile final : public OutputFile {
 public:
  SystemFile(const std::filesystem::path& path, bool on_disk)
      : path_(path), on_disk_(on_disk), temporary_(temporary_path(path, static_cast<unsigned long>(::getpid()))), name_(to_text(path)),
        fd_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {}
  ~SystemFile() override {
    if (fd_.valid()) ::unlink(temporary_.c_str());
  }

  Status opened() const { return fd_.valid() ? Status() : system_failure(name_, "create a temporary file beside it"); }
  Status write(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return system_failure(name_, "write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }
  Status commit() override {
    if (on_disk_ && ::fsync(fd_.get()) != 0) return system_failure(name_, "write");
    Status status = fd_.close() ? Status() : system_failure(name_, "close");
    if (status.ok() && ::rename(temporary_.c_str(), path_.c_str()) != 0)
      status = system_failure(name_, "rename its temporary file");
    if (!status.ok()) ::unlink(temporary_.c_str());
    return status;
  }

 private:
  std::filesystem::path path_;
  bool on_disk_;
  std::filesystem::path temporary_;
  std::string name_;
  Descriptor fd_;
};

#endif

}  // namespace

Result<std::unique_ptr<OutputFile>> create_file(const std::filesystem::path& path, bool on_disk) {
  auto file = std::make_unique<SystemFile>(path, on_disk);
  PONDER_TRY(file->opened());
  return std::unique_ptr<OutputFile>(std::move(file));
}

Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  PONDER_ASSIGN(const std::unique_ptr<OutputFile> file, create_file(path));
  PONDER_TRY(file->write(bytes));
  return file->commit();
}

}  // namespace ponder::core
