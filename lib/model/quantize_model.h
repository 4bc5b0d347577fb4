// Writes a model as a GGUF file, its weights in another type: from whatever ponder loads, tensor by tensor, in bounded
// memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/io/output_file.h"
#include "lib/model/importance.h"
#include "lib/model/model.h"
#include "lib/ops/context.h"

namespace ponder::core {

struct QuantizeProgress {
  std::uint64_t done_bytes = 0, total_bytes = 0;  // of the file
  std::string_view tensor;                        // being written; valid during the call
};

struct QuantizeOptions {
  std::string type = "q4_k_m";  // see quantize_mix.h
  const Importance* importance = nullptr;
  // On the calling thread, at least once per 16 MiB of weights; false cancels, and nothing is left of the file.
  std::function<bool(const QuantizeProgress&)> progress;
};

struct QuantizeReport {
  std::uint64_t file_bytes = 0;
  std::size_t n_tensors = 0;
  std::vector<std::pair<std::string, std::int64_t>> bytes_by_type;  // "Q4_K", ...
  std::vector<std::string> warnings;  // dropped layers, types that did not fit, weights that were quantised already
};

// ctx: kernels and threads. The file is the same for any number of threads.
Result<QuantizeReport> quantize_model(const Context& ctx, const FileSource& source, std::unique_ptr<OutputFile> output,
                                      const QuantizeOptions& options);
// To `path`, which appears when it is complete; a disk without room for it is found before the work begins.
Result<QuantizeReport> quantize_model(const Context& ctx, const FileSource& source, const std::filesystem::path& path,
                                      const QuantizeOptions& options);
// A model in memory, as random weights are; the file has no tokenizer.
Result<QuantizeReport> quantize_model(const Context& ctx, const Model& model, const std::filesystem::path& path,
                                      const QuantizeOptions& options);

}  // namespace ponder::core
