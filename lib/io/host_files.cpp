#include "lib/io/host_files.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "lib/base/buffer.h"
#include "lib/base/format.h"
#include "lib/base/host_call.h"
#include "lib/io/address_range.h"
#include "lib/io/gguf_part_name.h"

namespace ponder::core {
namespace {

constexpr std::size_t kReadBytes = std::size_t{16} << 20;  // between two looks at progress

// What a function of the host returned, as a Status. A code that says nothing about files is an I/O error.
Status host_status(std::string_view name, const char* doing, std::int32_t status) {
  if (status == 0) return {};
  const auto code = static_cast<Code>(status);
  switch (code) {
    case Code::not_found: return fail(code, "{}: the host has no such file", name);
    case Code::out_of_memory:
    case Code::cancelled: return fail(code, "{}: the host's {} said so (status {})", name, doing, status);
    default: return fail(Code::io, "{}: the host's {} failed with status {}", name, doing, status);
  }
}

// An open file of the host; closed when the last view of it is gone.
class HostFile {
 public:
  HostFile(const HostFiles& files, std::string name) : files_(files), name_(std::move(name)) {}
  HostFile(const HostFile&) = delete;
  HostFile& operator=(const HostFile&) = delete;
  ~HostFile() {
    if (!open_) return;
    try {
      files_.close(files_.user_data, file_);
    } catch (...) {  // the host's mistake
    }
  }

  Status open() {
    std::int32_t status = 0;
    PONDER_TRY(call_host("the host's open", [&] {
      status = files_.open(files_.user_data, name_.c_str(), &file_, &size_);
      open_ = status == 0;
    }).with_prefix(name_));
    PONDER_TRY(host_status(name_, "open", status));
    if (size_ > static_cast<std::uint64_t>(std::numeric_limits<std::ptrdiff_t>::max()))
      return fail(Code::io, "{}: {} bytes do not fit the address space", name_, size_);
    return {};
  }
  const std::string& name() const { return name_; }
  std::size_t size_bytes() const { return static_cast<std::size_t>(size_); }

  Result<const std::byte*> map() const {
    const void* bytes = nullptr;
    if (files_.map)
      PONDER_TRY(call_host("the host's map", [&] { bytes = files_.map(files_.user_data, file_); }).with_prefix(name_));
    return static_cast<const std::byte*>(bytes);
  }
  Status read(std::uint64_t offset, void* to, std::size_t n_bytes) const {
    std::int32_t status = 0;
    PONDER_TRY(call_host("the host's read", [&] {
      status = files_.read(files_.user_data, file_, offset, to, n_bytes);
    }).with_prefix(name_));
    return host_status(name_, "read", status);
  }

 private:
  const HostFiles files_;
  std::string name_;
  void* file_ = nullptr;
  std::uint64_t size_ = 0;
  bool open_ = false;
};

// A file of which the blocks are read that are asked for.
class HostParts final : public PartReader {
 public:
  static constexpr std::size_t kBlockBytes = std::size_t{64} << 10;

  HostParts(std::shared_ptr<const HostFile> file, std::shared_ptr<AddressRange> range)
      : file_(std::move(file)), range_(std::move(range)) {}
  Status ensure(std::size_t offset, std::size_t size_bytes) const override {
    if (size_bytes == 0) return {};
    const std::size_t last = (offset + size_bytes - 1) / kBlockBytes;
    for (std::size_t block = offset / kBlockBytes; block <= last;) {
      if (read_.count(block) > 0) {
        ++block;
        continue;
      }
      std::size_t end = block + 1;  // of the blocks that one call reads
      while (end <= last && (end - block) * kBlockBytes < kReadBytes && read_.count(end) == 0) ++end;
      const std::size_t first_byte = block * kBlockBytes, end_byte = std::min(end * kBlockBytes, file_->size_bytes());
      PONDER_TRY(range_->commit(first_byte, end_byte).with_prefix(file_->name()));
      PONDER_TRY(file_->read(first_byte, range_->data() + first_byte, end_byte - first_byte));
      for (; block < end; ++block) read_.insert(block);
    }
    return {};
  }

 private:
  std::shared_ptr<const HostFile> file_;
  std::shared_ptr<AddressRange> range_;
  mutable std::set<std::size_t> read_;
};

// Which part of all weights the file is: [first, first + share]. Nothing for a file without weights.
struct Share {
  float first = 0, share = 1;
};
std::optional<Share> share_of(std::string_view name) {
  constexpr std::string_view kSafetensors = ".safetensors", kGguf = ".gguf";
  if (!name.ends_with(kSafetensors) && !name.ends_with(kGguf)) return std::nullopt;
  const std::string_view stem = name.substr(0, name.rfind('.'));
  const auto part = gguf_part_name(std::string(stem) + std::string(kGguf));
  if (!part || part->count < 1 || part->number < 1 || part->number > part->count) return Share();
  return Share{static_cast<float>(part->number - 1) / static_cast<float>(part->count), 1 / static_cast<float>(part->count)};
}

class HostSource final : public FileSource {
 public:
  HostSource(const HostFiles& files, std::string folder, std::string gguf, HostFileOptions options)
      : files_(files), folder_(std::move(folder)), gguf_(std::move(gguf)), options_(std::move(options)) {}

  Result<FileView> open(std::string_view name) const override {
    PONDER_TRY(check_file_name(name));
    if (const auto failed = failed_.find(name); failed != failed_.end()) return failed->second;
    auto file = std::make_shared<HostFile>(files_, path_of(name));
    PONDER_TRY(file->open());
    FileView view;
    view.name = file->name();
    const std::size_t size = file->size_bytes();
    PONDER_ASSIGN(const std::byte* const mapped, file->map());
    if (mapped || size == 0) {
      view.bytes = {mapped, mapped ? size : 0};
      view.owner = std::move(file);
      return view;
    }
    if (options_.in_parts && (share_of(name) || name == gguf_)) {
      Result<std::shared_ptr<AddressRange>> range = AddressRange::reserve(size);
      if (!range.ok()) return std::move(range).status().with_prefix(view.name);
      view.bytes = {(*range)->data(), size};
      view.owner = *range;
      view.parts = std::make_shared<HostParts>(std::move(file), *range);
      return view;
    }
    Result<Buffer> memory = Buffer::allocate(size, options_.memory, MemoryUse::weights);
    if (!memory.ok()) return std::move(memory).status().with_prefix(view.name);
    auto bytes = std::make_shared<const Buffer>(std::move(memory).value());
    const std::optional<Share> share = options_.progress ? share_of(name) : std::nullopt;
    for (std::size_t at = 0; at < size;) {
      const std::size_t n = std::min(kReadBytes, size - at);
      PONDER_TRY(file->read(at, bytes->data() + at, n));
      at += n;
      if (share && !options_.progress(share->first + share->share * static_cast<float>(at) / static_cast<float>(size)))
        return fail(Code::cancelled, "{}: the load was cancelled", view.name);
    }
    view.bytes = bytes->bytes();
    view.counted = options_.memory != nullptr;
    view.owner = std::move(bytes);
    return view;
  }

  // A file that cannot be looked at is there, and open() says why not: the checkpoint must not seem to have none.
  bool exists(std::string_view name) const override {
    if (!check_file_name(name).ok()) return false;
    Status status = HostFile(files_, path_of(name)).open();
    const bool missing = status.code() == Code::not_found;
    if (!status.ok() && !missing) failed_.emplace(name, std::move(status));
    return !missing;
  }
  std::string describe() const override { return gguf_.empty() ? folder_.empty() ? "the host's files" : folder_ : path_of(gguf_); }
  std::string gguf_file() const override { return gguf_; }

 private:
  std::string path_of(std::string_view name) const {
    return folder_.empty() ? std::string(name) : formatted("{}/{}", folder_, name);
  }

  const HostFiles files_;
  std::string folder_, gguf_;
  HostFileOptions options_;
  mutable std::map<std::string, Status, std::less<>> failed_;
};

// A file by this name that begins as GGUF.
Result<bool> is_gguf(const HostFiles& files, const std::string& path) {
  if (path.empty()) return false;
  if (path.ends_with(".gguf")) return true;
  HostFile file(files, path);
  const Status opened = file.open();
  if (opened.code() == Code::callback || opened.code() == Code::cancelled) return opened;
  if (!opened.ok() || file.size_bytes() < 4) return false;  // a folder, whatever the host says of those
  char magic[4] = {};
  PONDER_TRY(file.read(0, magic, sizeof magic));
  return std::string_view(magic, sizeof magic) == "GGUF";
}

}  // namespace

Result<std::shared_ptr<const FileSource>> host_source(const HostFiles& files, std::string path, HostFileOptions options) {
  while (path.ends_with('/')) path.pop_back();
  PONDER_ASSIGN(const bool gguf, is_gguf(files, path));
  std::string name;
  if (gguf) {
    const std::size_t slash = path.rfind('/');
    name = path.substr(slash == path.npos ? 0 : slash + 1);
    path.resize(slash == path.npos ? 0 : slash);
  }
  return std::shared_ptr<const FileSource>(
      std::make_shared<HostSource>(files, std::move(path), std::move(name), std::move(options)));
}

}  // namespace ponder::core
