#include "lib/model/quantize_model.h"

#include <limits>
#include <map>
#include <system_error>

#include "lib/base/format.h"
#include "lib/io/gguf_writer.h"
#include "lib/model/gguf_keys.h"
#include "lib/model/gguf_tensors.h"
#include "lib/model/loader.h"
#include "lib/model/tensor_converter.h"

namespace ponder::core {
namespace {

// A tensor's bytes into the file.
class FileTarget final : public TensorConverter::Target {
 public:
  FileTarget(GgufWriter& writer, const QuantizeOptions& options, const std::shared_ptr<Memory>& memory)
      : writer_(writer), options_(options), memory_(memory) {
    for (const GgufTensor& tensor : writer.tensors()) total_ += tensor.n_bytes();
  }
  Status begin(std::string_view tensor) {
    name_ = tensor;
    return report();
  }
  Result<std::byte*> room(std::size_t n_bytes) override {
    PONDER_TRY(reserve(bytes_, n_bytes, memory_));
    return bytes_.data();
  }
  Status filled(std::size_t n_bytes) override {
    PONDER_TRY(writer_.append(bytes_.bytes().first(n_bytes)));
    done_ += n_bytes;
    return report();
  }

 private:
  Status report() {
    if (options_.progress && !options_.progress({done_, total_, name_}))
      return fail(Code::cancelled, "the quantisation was cancelled at {}", name_);
    return {};
  }

  GgufWriter& writer_;
  const QuantizeOptions& options_;
  std::uint64_t done_ = 0, total_ = 0;
  std::string_view name_;
  const std::shared_ptr<Memory>& memory_;
  Buffer bytes_;
};

void describe(const std::vector<GgufTensorSource>& tensors, QuantizeReport& report) {
  std::map<std::string, std::int64_t> bytes;
  for (const GgufTensorSource& tensor : tensors)
    bytes[std::string(dtype_name(tensor.out.type))] += static_cast<std::int64_t>(tensor.out.n_bytes());
  report.n_tensors = tensors.size();
  report.bytes_by_type.assign(bytes.begin(), bytes.end());
  for (std::string& text : conversion_warnings(tensors)) report.warnings.push_back(std::move(text));
}

// The vocabulary is there as the list of its entries, as metadata and as the head of the file: of memory, for a byte of
// tokenizer.json. It goes when the head is written, so the rest of the work is counted beside it.
constexpr std::uint64_t kTextFactor = 12;

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

  MemoryCharge texts(ctx.memory, MemoryUse::other);
  if (text.exists("tokenizer.json")) {
    PONDER_ASSIGN(const FileView file, text.open("tokenizer.json"));
    PONDER_TRY(texts.raise_to(kTextFactor * file.bytes.size()));
  }
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
  TensorConverter converter(ctx, model, options.importance);
  FileTarget target(writer, options, ctx.memory);
  for (const GgufTensorSource& tensor : tensors) {
    PONDER_TRY(target.begin(tensor.out.name));
    PONDER_TRY(converter.convert(tensor, target));
  }
  PONDER_TRY(writer.finish());
  return report;
}

Result<QuantizeReport> run(const Context& ctx, const FileSource& source, std::unique_ptr<OutputFile> output,
                           const QuantizeOptions& options, std::uint64_t free_bytes) {
  PONDER_TRY(find_mix(options.type).status());
  LoadOptions load;
  load.load_mtp = false;
  load.context = &ctx;
  load.count_weights = false;  // read once, in order
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
