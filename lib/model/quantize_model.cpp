#include "lib/model/quantize_model.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <system_error>

#include "lib/base/buffer.h"
#include "lib/base/format.h"
#include "lib/io/gguf_writer.h"
#include "lib/model/gguf_keys.h"
#include "lib/model/gguf_tensors.h"
#include "lib/model/loader.h"
#include "lib/ops/ops.h"
#include "lib/ops/weight_rows.h"

namespace ponder::core {
namespace {

using Rows = GgufTensorSource::Rows;

constexpr std::size_t kPieceWeights = std::size_t{4} << 20;  // 16 MiB as f32: enough rows for many threads

// "blk.*.ffn_down.weight"
std::string any_layer(const std::string& name) {
  const std::size_t begin = name.find('.') + 1, end = name.find('.', begin);
  return name.starts_with("blk.") && end != name.npos ? name.substr(0, begin) + "*" + name.substr(end) : name;
}

class Quantizer {
 public:
  Quantizer(const Context& ctx, const Config& config, const QuantizeOptions& options, GgufWriter& writer)
      : ctx_(ctx), config_(config), options_(options), writer_(writer) {
    for (const GgufTensor& tensor : writer.tensors()) total_ += tensor.n_bytes();
  }

  Status write(const GgufTensorSource& tensor) {
    name_ = tensor.out.name;
    PONDER_TRY(report());
    if (tensor.weights.empty()) return append(std::as_bytes(std::span(tensor.vector)));
    const float* importance = nullptr;
    std::size_t per_weight = 0;  // 0: all share one
    PONDER_TRY(find_importance(tensor, importance, per_weight));
    for (std::size_t i = 0; i < tensor.weights.size(); ++i)
      PONDER_TRY(write_weight(tensor, *tensor.weights[i], importance ? importance + i * per_weight : nullptr));
    return {};
  }

 private:
  Status report() {
    if (options_.progress && !options_.progress({done_, total_, name_}))
      return fail(Code::cancelled, "the quantisation was cancelled at {}", name_);
    return {};
  }
  Status append(std::span<const std::byte> bytes) {
    PONDER_TRY(writer_.append(bytes));
    done_ += bytes.size();
    return report();
  }

  Status find_importance(const GgufTensorSource& tensor, const float*& importance, std::size_t& per_weight) const {
    if (!options_.importance) return {};
    const auto found = options_.importance->find(tensor.out.name);
    if (found == options_.importance->end()) return {};
    const std::size_t n = found->second.size(), cols = tensor.n_cols();
    if (n != cols && n != cols * tensor.weights.size())
      return fail(Code::invalid_argument, "{}: {} importances, want {} for its columns", tensor.out.name, n, cols);
    importance = found->second.data();
    per_weight = n == cols ? 0 : cols;
    return {};
  }

  Status write_weight(const GgufTensorSource& tensor, const Weight& w, const float* importance) {
    const std::size_t cols = tensor.n_cols(), row = row_bytes(tensor.out.type, cols);
    // Keys are turned head by head.
    const std::size_t unit = tensor.rows == Rows::keys ? static_cast<std::size_t>(config_.kv_lora_rank) : 1;
    const std::size_t per_piece = std::max<std::size_t>(kPieceWeights / (cols * unit), 1) * unit;
    const bool as_it_is = tensor.out.type == w.type && tensor.rows != Rows::keys;
    for (std::size_t first = 0, n = tensor.n_rows(); first < n; first += per_piece) {
      const std::size_t count = std::min(per_piece, n - first);
      PONDER_TRY(reserve(encoded_, count * row));
      if (as_it_is) {
        for (std::size_t i = 0; i < count; ++i)
          std::memcpy(encoded_.data() + i * row, w.data + tensor.source_row(config_, first + i) * row, row);
      } else {
        PONDER_TRY(reserve(floats_, count * cols * sizeof(float)));
        const Tensor rows(floats_.as<float>(), count, cols);
        PONDER_TRY(read(tensor, w, first, rows));
        PONDER_TRY(ops::quantize(ctx_, tensor.out.name, tensor.out.type, encoded_.data(), rows, importance));
      }
      PONDER_TRY(append(encoded_.bytes().first(count * row)));
    }
    return {};
  }

  // Rows [first, first + rows.n_rows) of the tensor as f32.
  Status read(const GgufTensorSource& tensor, const Weight& w, std::size_t first, const Tensor& rows) {
    if (tensor.rows == Rows::keys) return read_keys(w, first, rows);
    ops::for_rows(ctx_, rows.n_rows, rows.n_cols, [&](std::size_t begin, std::size_t count) {
      for (std::size_t i = begin; i < begin + count; ++i) {
        const auto id = static_cast<std::int32_t>(tensor.source_row(config_, first + i));
        ops::embed(ctx_, rows.rows(i, 1), w, {&id, 1});
      }
    });
    return {};
  }

  Status read_keys(const Weight& w, std::size_t first, const Tensor& rows) {
    const auto rank = static_cast<std::size_t>(config_.kv_lora_rank), keys = rows.n_cols;
    const std::size_t of_head = keys + static_cast<std::size_t>(config_.v_head_dim);
    PONDER_TRY(reserve(turned_, keys * rank * sizeof(float)));
    const Tensor head(turned_.as<float>(), keys, rank);
    for (std::size_t at = 0; at < rows.n_rows; at += rank) {
      ops::dequantize(ctx_, head, w, (first + at) / rank * of_head);
      ops::for_rows(ctx_, rank, keys, [&](std::size_t begin, std::size_t count) {
        for (std::size_t r = begin; r < begin + count; ++r)
          for (std::size_t k = 0; k < keys; ++k) rows.row(at + r)[k] = head.row(k)[r];
      });
    }
    return {};
  }

  static Status reserve(Buffer& buffer, std::size_t n_bytes) {
    if (buffer.size_bytes() >= n_bytes) return {};
    buffer = Buffer();
    PONDER_ASSIGN(buffer, Buffer::allocate(n_bytes));
    return {};
  }

  const Context& ctx_;
  const Config& config_;
  const QuantizeOptions& options_;
  GgufWriter& writer_;
  std::uint64_t done_ = 0, total_ = 0;
  std::string_view name_;
  Buffer floats_, encoded_, turned_;
};

void describe(const std::vector<GgufTensorSource>& tensors, QuantizeReport& report) {
  std::map<std::string, std::int64_t> bytes;
  std::map<std::string, std::size_t> fallbacks, again;
  for (const GgufTensorSource& tensor : tensors) {
    bytes[std::string(dtype_name(tensor.out.type))] += static_cast<std::int64_t>(tensor.out.n_bytes());
    if (tensor.fallback)
      ++fallbacks[fmt::format("{}: rows of {} are no whole blocks, written as {}", any_layer(tensor.out.name),
                              tensor.n_cols(), dtype_name(tensor.out.type))];
    for (const Weight* w : tensor.weights)
      if (block_elements(w->type) > 1 && w->type != tensor.out.type && tensor.out.type != DType::f32) {  // f32 holds any
        ++again[std::string(dtype_name(w->type))];
        break;
      }
  }
  report.n_tensors = tensors.size();
  report.bytes_by_type.assign(bytes.begin(), bytes.end());
  for (const auto& [text, n] : fallbacks) report.warnings.push_back(fmt::format("{} ({} in all)", text, n));
  for (const auto& [type, n] : again)
    report.warnings.push_back(fmt::format("{} tensors were quantised already, in {}, and lose once more", n, type));
}

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

std::uint64_t free_bytes_beside(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(std::filesystem::absolute(path).parent_path(), error);
  return error ? kNoLimit : static_cast<std::uint64_t>(space.available);
}

// text: where the tokenizer and its companions are.
Result<QuantizeReport> write_model(const Context& ctx, const Model& model, const FileSource& text,
                                   std::unique_ptr<OutputFile> output, const QuantizeOptions& options,
                                   std::uint64_t free_bytes) {
  PONDER_ASSIGN(const Mix mix, find_mix(options.type));
  QuantizeReport report;
  report.warnings = model.load_report().warnings;

  GgufMetadata metadata;
  metadata.add_string("general.architecture", gguf_architecture(model.config()));
  metadata.add_u32("general.file_type", mix.file_type);
  if (block_elements(mix.base) > 1) metadata.add_u32("general.quantization_version", 2);  // ggml.h's GGML_QNT_VERSION
  PONDER_TRY(add_model_keys(model.config(), metadata));
  PONDER_TRY(add_text_keys(text, model, metadata, report.warnings));
  PONDER_ASSIGN(const std::vector<GgufTensorSource> tensors,
                gguf_tensors(model, mix, options.importance && !options.importance->empty()));
  describe(tensors, report);

  std::vector<GgufTensor> table;
  for (const GgufTensorSource& tensor : tensors) table.push_back(tensor.out);
  PONDER_ASSIGN(GgufWriter writer, GgufWriter::create(std::move(output), metadata, std::move(table)));
  report.file_bytes = writer.file_bytes();
  if (report.file_bytes > free_bytes)
    return fail(Code::io, "the file takes {} bytes, the disk has {} left", report.file_bytes, free_bytes);
  Quantizer quantizer(ctx, model.config(), options, writer);
  for (const GgufTensorSource& tensor : tensors) PONDER_TRY(quantizer.write(tensor));
  PONDER_TRY(writer.finish());
  return report;
}

Result<QuantizeReport> run(const Context& ctx, const FileSource& source, std::unique_ptr<OutputFile> output,
                           const QuantizeOptions& options, std::uint64_t free_bytes) {
  PONDER_TRY(find_mix(options.type).status());
  LoadOptions load;
  load.load_mtp = false;
  PONDER_ASSIGN(const std::shared_ptr<const Model> model, ModelLoader::load(source, load));
  return write_model(ctx, *model, source, std::move(output), options, free_bytes);
}

}  // namespace

Result<QuantizeReport> quantize_model(const Context& ctx, const FileSource& source, std::unique_ptr<OutputFile> output,
                                      const QuantizeOptions& options) {
  return run(ctx, source, std::move(output), options, kNoLimit);
}

Result<QuantizeReport> quantize_model(const Context& ctx, const FileSource& source, const std::filesystem::path& path,
                                      const QuantizeOptions& options) {
  PONDER_TRY(find_mix(options.type).status());
  PONDER_TRY(source.check());
  PONDER_ASSIGN(std::unique_ptr<OutputFile> output, create_file(path));
  return run(ctx, source, std::move(output), options, free_bytes_beside(path));
}

Result<QuantizeReport> quantize_model(const Context& ctx, const Model& model, const std::filesystem::path& path,
                                      const QuantizeOptions& options) {
  PONDER_ASSIGN(std::unique_ptr<OutputFile> output, create_file(path));
  return write_model(ctx, model, *memory_source({}), std::move(output), options, free_bytes_beside(path));
}

}  // namespace ponder::core
