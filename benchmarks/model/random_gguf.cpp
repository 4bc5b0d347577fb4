// A GGUF file of an official geometry with random weights, for programs that read files: ours and others.
//   ponder_random_gguf CONFIG.json LAYERS FILE.gguf [TYPE]
// LAYERS cuts the model, 0 keeps all; TYPE is bf16 or any of `ponder quantize` (lib/model/quantize_mix.h). The model is
// made in memory as bf16: 7 GB for six layers of DeepSeek-V2-Lite. The file has no tokenizer.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "lib/model/quantize_model.h"

using namespace ponder::core;

namespace {

Status write(const std::string& config, std::int64_t n_layers, const std::string& path, const std::string& type) {
  std::ifstream file(config);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) return Status(Code::not_found, "cannot read " + config);
  PONDER_ASSIGN(const Json json, parse_json(text, config));
  PONDER_ASSIGN(const std::shared_ptr<const Model> model, Model::random(json, DType::bf16, n_layers, 1));
  PONDER_ASSIGN(const std::unique_ptr<ThreadPool> pool, ThreadPool::create(0));
  const ponder::kernels::Table table = ponder::kernels::make_table(ponder::kernels::highest_isa());
  Context ctx;
  ctx.kernels = &table;
  ctx.pool = pool.get();
  QuantizeOptions options;
  options.type = type;
  PONDER_ASSIGN(const QuantizeReport report, quantize_model(ctx, *model, path, options));
  std::printf("%s: %llu bytes, %zu tensors\n", path.c_str(), static_cast<unsigned long long>(report.file_bytes),
              report.n_tensors);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4 || argc > 5) {
    std::fprintf(stderr, "ponder_random_gguf CONFIG.json LAYERS FILE.gguf [TYPE]\n");
    return 2;
  }
  const Status status = write(argv[1], std::strtoll(argv[2], nullptr, 10), argv[3], argc > 4 ? argv[4] : "bf16");
  if (!status.ok()) std::fprintf(stderr, "ponder_random_gguf: %s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
