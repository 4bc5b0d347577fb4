// Where a writer's file goes in tests: memory, with a limit that stands for a full disk.
#pragma once

#include <limits>
#include <memory>
#include <string>

#include "lib/io/file_source.h"
#include "lib/io/output_file.h"

namespace ponder::test {

struct WrittenFile {
  std::string text;
  bool committed = false;
  std::size_t limit = std::numeric_limits<std::size_t>::max();

  std::unique_ptr<core::OutputFile> output();
  std::shared_ptr<const core::FileSource> source() const {
    return core::memory_source({{"model.gguf", std::as_bytes(std::span(text))}});
  }
};

class MemoryOutput final : public core::OutputFile {
 public:
  explicit MemoryOutput(WrittenFile& file) : file_(file) {}
  core::Status write(std::span<const std::byte> bytes) override {
    if (file_.text.size() + bytes.size() > file_.limit) return {core::Code::io, "out.gguf: cannot write: disk full"};
    file_.text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  core::Status commit() override {
    file_.committed = true;
    return {};
  }

 private:
  WrittenFile& file_;
};

inline std::unique_ptr<core::OutputFile> WrittenFile::output() { return std::make_unique<MemoryOutput>(*this); }

}  // namespace ponder::test
