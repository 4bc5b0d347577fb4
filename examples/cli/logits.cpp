#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

namespace {

struct Options {
  ModelOptions model;
  std::string ids, ids_file, prompt, mtp_next_ids, output, compute = "exact";
  ponder_kv_type kv_type = PONDER_KV_DEFAULT;
  bool last = false, hidden = false, moe = false;
};

// Tensors in the order they arrive, written as one safetensors file.
class TensorFile {
 public:
  void add(std::string_view name, const char* dtype, std::span<const std::int64_t> shape, const void* data,
           std::size_t size_bytes) {
    nlohmann::ordered_json entry;
    entry["dtype"] = dtype;
    entry["shape"] = std::vector<std::int64_t>(shape.begin(), shape.end());
    entry["data_offsets"] = {data_.size(), data_.size() + size_bytes};
    header_[std::string(name)] = entry;
    data_.append(static_cast<const char*>(data), size_bytes);
  }
  void write(const std::string& path) const {
    std::string header = header_.dump();
    header.append((8 - header.size() % 8) % 8, ' ');
    std::uint64_t length = header.size();
    char prefix[8];
    for (int i = 0; i < 8; ++i) prefix[i] = static_cast<char>(length >> (8 * i) & 0xff);
    std::ofstream file(path, std::ios::binary);
    file.write(prefix, 8).write(header.data(), static_cast<std::streamsize>(header.size()));
    file.write(data_.data(), static_cast<std::streamsize>(data_.size()));
    file.close();
    if (!file) throw Failure{path + ": cannot be written"};
  }

 private:
  nlohmann::ordered_json header_ = nlohmann::ordered_json::object();
  std::string data_;
};

void run(const Options& o) {
  const ponder::Model model = load_model(o.model);
  std::vector<std::int32_t> ids;
  if (!o.prompt.empty())
    ids = unwrap(unwrap(model.tokenizer()).encode(o.prompt, PONDER_ENCODE_SPECIAL | PONDER_ENCODE_BOS));
  else
    ids = parse_ids(o.ids_file.empty() ? o.ids : read_text_file(o.ids_file));
  if (ids.empty()) throw Failure{"no token ids: give --ids, --ids-file or -p"};
  ponder::Session session = unwrap(model.session(
      {.context_length = static_cast<std::int64_t>(ids.size()), .compute = parse_compute(o.compute), .kv_type = o.kv_type}));
  TensorFile file;
  const std::int64_t n_ids = static_cast<std::int64_t>(ids.size());
  file.add("ids", "I32", std::span(&n_ids, 1), ids.data(), ids.size() * sizeof(std::int32_t));
  const std::uint32_t flags = (o.last ? PONDER_EVALUATE_LAST : 0) | (o.hidden ? PONDER_EVALUATE_HIDDEN : 0) |
                              (o.moe ? PONDER_EVALUATE_MOE : 0);
  unwrap(session.evaluate(ids, parse_ids(o.mtp_next_ids), flags, [&](const ponder::Session::TensorView& t) {
    std::size_t n = 4;
    for (std::int64_t dim : t.shape) n *= static_cast<std::size_t>(dim);
    file.add(t.name, t.dtype == PONDER_DTYPE_I32 ? "I32" : "F32", t.shape, t.data, n);
    return true;
  }));
  file.write(o.output);
}

}  // namespace

void add_logits(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("logits", "Logits and inner tensors of one forward pass, as a safetensors file");
  add_model_options(*command, o->model);
  command->add_option("--ids", o->ids, "Token ids, separated by commas");
  command->add_option("--ids-file", o->ids_file, "File of token ids; - is standard input");
  command->add_option("-p,--prompt", o->prompt, "Raw text, special tokens recognised, BOS in front");
  command->add_flag("--last", o->last, "Only the last position");
  command->add_flag("--hidden", o->hidden, "Also hidden.N and hidden.final_norm");
  command->add_flag("--moe", o->moe, "Also moe.N.ids and moe.N.weights");
  command->add_option("--mtp-next-ids", o->mtp_next_ids, "Also mtp.logits: id i is the token after position i");
  command->add_option("--compute", o->compute, "exact or fast")->check(CLI::IsMember({"exact", "fast"}));
  add_kv_option(*command, o->kv_type);
  command->add_option("-o,--output", o->output, "File to write")->required();
  command->callback([o] { run(*o); });
}

}  // namespace cli
