// Writing GGUF files: which types, what is said, and that a failure leaves nothing. What the files compute: tests/golden.
#include "lib/model/quantize_model.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <string>

#include "lib/io/gguf.h"
#include "lib/io/gguf_writer.h"
#include "lib/model/loader.h"
#include "lib/model/quantize_mix.h"
#include "tests/lib/io/temporary_folder.h"
#include "tests/lib/model/editable_checkpoint.h"
#include "tests/lib/model/memory_output.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

const std::string kModels = PONDER_TEST_DATA "/models/";

struct Setup {
  std::unique_ptr<ThreadPool> pool = ThreadPool::create(2).value();
  ponder::kernels::Table table = ponder::kernels::make_table(ponder::kernels::highest_isa());
  Context ctx;
  WrittenFile file;
  QuantizeOptions options;
  Setup() {
    ctx.kernels = &table;
    ctx.pool = pool.get();
  }
  Result<QuantizeReport> run(const FileSource& source) { return quantize_model(ctx, source, file.output(), options); }
  Result<QuantizeReport> run(const std::string& model) { return run(*folder_source(kModels + model)); }
};

Config config_of(const char* json) { return Config::parse(parse_json(json, "config.json").value()).value(); }

Config llama(int n_layers, int n_heads = 32, int n_kv_heads = 8) {
  Config c = config_of(R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"vocab_size":128,"hidden_size":4096,
    "intermediate_size":14336,"num_hidden_layers":1,"num_attention_heads":32,"num_key_value_heads":8,
    "max_position_embeddings":4096,"rms_norm_eps":1e-6})");
  c.num_hidden_layers = n_layers;
  c.num_attention_heads = n_heads;
  c.num_key_value_heads = n_kv_heads;
  return c;
}

std::string chosen(const char* mix, const Config& c, const char* name, Shape shape = {512, 4096}, bool importance = false) {
  return std::string(dtype_name(choose_type(find_mix(mix).value(), c, importance, name, shape).type));
}

std::size_t n_files(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("mix: the types of llama.cpp's Q4_K_M for a Llama of 32 layers") {
  const Config c = llama(32);
  CHECK(chosen("q4_k_m", c, "token_embd.weight") == "Q4_K");
  CHECK(chosen("q4_k_m", c, "output.weight") == "Q6_K");
  CHECK(chosen("q4_k_m", c, "blk.0.attn_q.weight") == "Q4_K");
  CHECK(chosen("q4_k_m", c, "blk.0.attn_output.weight") == "Q4_K");
  CHECK(chosen("q4_k_m", c, "blk.0.ffn_up.weight") == "Q4_K");
  // More bits for the first and last eighth and every third between.
  const std::map<int, bool> more = {{0, true}, {3, true}, {4, false}, {5, false}, {6, true}, {27, true}, {28, true}, {31, true}};
  for (const auto& entry : more) {
    const int layer = entry.first;
    const bool high = entry.second;
    CAPTURE(layer);
    CHECK(chosen("q4_k_m", c, ("blk." + std::to_string(layer) + ".ffn_down.weight").c_str()) == (high ? "Q6_K" : "Q4_K"));
    CHECK(chosen("q4_k_m", c, ("blk." + std::to_string(layer) + ".attn_v.weight").c_str()) == (high ? "Q6_K" : "Q4_K"));
  }
}

TEST_CASE("mix: the other mixes spend their bits where llama.cpp's do") {
  const Config c = llama(32);
  CHECK(chosen("q4_k_s", c, "blk.3.attn_v.weight") == "Q5_K");
  CHECK(chosen("q4_k_s", c, "blk.4.attn_v.weight") == "Q4_K");
  CHECK(chosen("q4_k_s", c, "blk.3.ffn_down.weight") == "Q5_K");
  CHECK(chosen("q4_k_s", c, "blk.4.ffn_down.weight") == "Q4_K");
  CHECK(chosen("q5_k_m", c, "blk.0.ffn_down.weight") == "Q6_K");
  CHECK(chosen("q5_k_s", c, "blk.0.ffn_down.weight") == "Q5_K");
  CHECK(chosen("q3_k_m", c, "blk.1.attn_v.weight") == "Q5_K");
  CHECK(chosen("q3_k_m", c, "blk.2.attn_v.weight") == "Q4_K");
  CHECK(chosen("q3_k_m", c, "blk.1.ffn_down.weight") == "Q5_K");
  CHECK(chosen("q3_k_m", c, "blk.2.ffn_down.weight") == "Q4_K");
  CHECK(chosen("q3_k_m", c, "blk.2.attn_output.weight") == "Q4_K");
  CHECK(chosen("q3_k_l", c, "blk.2.attn_output.weight") == "Q5_K");
  CHECK(chosen("q3_k_s", c, "blk.2.ffn_down.weight") == "Q3_K");
  CHECK(chosen("q2_k", c, "blk.9.attn_v.weight") == "Q4_K");
  CHECK(chosen("q2_k", llama(32, 32, 32), "blk.9.attn_v.weight") == "Q3_K");
  CHECK(chosen("q2_k", c, "blk.9.ffn_down.weight") == "Q3_K");
  CHECK(chosen("q2_k_s", c, "blk.9.ffn_down.weight") == "Q2_K");
  CHECK(chosen("iq4_xs", c, "blk.0.ffn_down.weight") == "Q5_K");
  CHECK(chosen("iq4_xs", c, "blk.0.ffn_down.weight", {512, 4096}, true) == "IQ4_XS");
  CHECK(chosen("q4_0", c, "blk.0.ffn_down.weight", {512, 4096}, true) == "Q4_1");
  CHECK(chosen("q4_0", c, "blk.0.ffn_down.weight") == "Q4_0");
  CHECK(chosen("q4_k_m", llama(80), "blk.12.attn_v.weight") == "Q6_K");
  CHECK(chosen("q4_k_m", llama(80), "blk.10.attn_v.weight") == "Q5_K");
  CHECK(chosen("q8_0", c, "output.weight") == "Q8_0");
  CHECK(chosen("bf16", c, "output.weight") == "BF16");
}

TEST_CASE("mix: norms, biases and the router stay F32, rows that are no whole blocks get smaller ones") {
  const Config c = llama(32);
  for (const char* mix : {"q4_k_m", "q8_0", "bf16"}) {
    CHECK(chosen(mix, c, "blk.0.attn_norm.weight", {4096}) == "F32");
    CHECK(chosen(mix, c, "blk.0.attn_q.bias", {4096}) == "F32");
    CHECK(chosen(mix, c, "blk.0.ffn_gate_inp.weight", {64, 4096}) == "F32");
  }
  CHECK(chosen("q4_k_m", c, "blk.5.ffn_down.weight", {512, 4064}) == "Q5_0");
  CHECK(chosen("q5_k_s", c, "blk.5.ffn_down.weight", {512, 4064}) == "Q5_1");
  CHECK(chosen("q6_k", c, "blk.5.ffn_down.weight", {512, 4064}) == "Q8_0");
  CHECK(chosen("q3_k_s", c, "blk.5.ffn_down.weight", {512, 4064}) == "Q4_0");
  CHECK(chosen("iq4_xs", c, "blk.5.ffn_down.weight", {512, 4064}) == "IQ4_NL");
  CHECK(chosen("q4_k_m", c, "output.weight", {512, 4064}) == "Q8_0");
  CHECK(chosen("q8_0", c, "blk.5.ffn_down.weight", {512, 4060}) == "F16");
}

TEST_CASE("mix: names are taken in either case, an unknown one is refused with the list") {
  CHECK(find_mix("Q4_K_M").value().name == "q4_k_m");
  CHECK(find_mix("q4_k").value().name == "q4_k_m");
  const Status status = find_mix("q9").status();
  CHECK(status.code() == Code::invalid_argument);
  CHECK(status.message().starts_with("type 'q9', want one of f32, f16, bf16, q8_0, "));
}

TEST_CASE("quantize: progress runs to the whole file and names its tensors") {
  Setup s;
  std::uint64_t last = 0, total = 0;
  std::vector<std::string> names;
  s.options.progress = [&](const QuantizeProgress& p) {
    CHECK(p.done_bytes >= last);
    last = p.done_bytes;
    total = p.total_bytes;
    if (names.empty() || names.back() != p.tensor) names.emplace_back(p.tensor);
    return true;
  };
  const auto report = s.run("qwen2-tiny");
  REQUIRE(report.ok());
  CHECK(last == total);
  CHECK(names.size() == report->n_tensors);
  CHECK(names.front() == "token_embd.weight");
  CHECK(names.back() == "output.weight");
}

TEST_CASE("quantize: a report says which types fell back, and what was dropped") {
  Setup s;
  const auto report = s.run("v3-fp8-tiny");
  REQUIRE(report.ok());
  const auto warned = [&](const std::string& text) {
    return std::ranges::any_of(report->warnings, [&](const std::string& w) { return w.find(text) != w.npos; });
  };
  CHECK(warned("tokenizer.json is missing: the file has no tokenizer"));
  CHECK(warned("blk.*.attn_k_b.weight: rows of "));
  CHECK(warned("are no whole blocks, written as Q5_0 ("));
  CHECK(warned("(multi-token prediction) are not used"));
  std::int64_t sum = 0;
  for (const auto& [type, bytes] : report->bytes_by_type) sum += bytes;
  CHECK(sum > 0);
  CHECK(static_cast<std::uint64_t>(sum) < report->file_bytes);
}

TEST_CASE("quantize: weights that were quantised before are warned of, and not touched when the type is theirs") {
  const auto source = path_source(PONDER_TEST_DATA "/gguf/llama3-kq-tiny.gguf");
  Setup s;
  s.options.type = "q8_0";
  const auto report = s.run(*source);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(std::ranges::any_of(report->warnings,
                            [](const std::string& w) { return w.ends_with("were quantised already, in Q4_K, and lose once more"); }));
  s.file = {};
  s.options.type = "q4_k_m";
  REQUIRE(s.run(*source).ok());
  const auto made = GgufCheckpoint::open(*s.file.source(), "model.gguf");
  const auto given = GgufCheckpoint::open(*source, "llama3-kq-tiny.gguf");
  std::size_t n_same = 0;
  for (const TensorInfo* was : given->tensors()) {
    const TensorInfo* is = made->find(was->name);
    REQUIRE_MESSAGE(is, was->name);
    if (is->type != was->type || is->type != DType::q4_k) continue;
    CHECK(std::ranges::equal(is->bytes, was->bytes));
    ++n_same;
  }
  CHECK(n_same > 0);
}

TEST_CASE("quantize: random weights in memory become a file that loads, without a tokenizer") {
  TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "m.gguf";
  Setup s;
  s.options.type = "q8_0";
  const FileView config = folder_source(kModels + "v2lite-tiny")->open("config.json").value();
  const auto model = Model::random(parse_json(config.text(), "config.json").value(), DType::bf16, 2, 1).value();
  REQUIRE(quantize_model(s.ctx, *model, path, s.options).ok());
  const auto loaded = Model::load(path_source(path), {}).value();
  CHECK(loaded->config().num_hidden_layers == 2);
  CHECK(loaded->config().q_lora_rank == 0);
  CHECK(loaded->tokenizer() == nullptr);
  // llama.cpp asks for the key unless a model has 26 or 27 layers.
  const auto file = GgufCheckpoint::open(*path_source(path), "m.gguf").value();
  const GgufValue* rank = file.find_value("deepseek2.attention.q_lora_rank");
  REQUIRE(rank);
  CHECK(rank->integer() == 0);
}

TEST_CASE("quantize: cancelled at any moment, nothing is left") {
  TemporaryFolder folder;
  for (int n = 0; n < 60; n += 7) {
    Setup s;
    int calls = 0;
    s.options.progress = [&](const QuantizeProgress&) { return calls++ < n; };
    const auto report = quantize_model(s.ctx, *folder_source(kModels + "qwen2-tiny"), folder.path() / "m.gguf", s.options);
    CHECK(report.status().code() == Code::cancelled);
    CHECK(n_files(folder.path()) == 0);
  }
}

TEST_CASE("quantize: a full disk, a missing folder and a missing model are errors that leave nothing") {
  Setup s;
  s.file.limit = 50000;
  CHECK(s.run("qwen2-tiny").status().code() == Code::io);
  CHECK_FALSE(s.file.committed);
  TemporaryFolder folder;
  const auto to = [&](const std::filesystem::path& path, const std::string& model) {
    return quantize_model(s.ctx, *folder_source(kModels + model), path, s.options).status();
  };
  CHECK(to(folder.path() / "none" / "m.gguf", "qwen2-tiny").code() == Code::not_found);
  CHECK(to(folder.path() / "m.gguf", "no-such-model").code() == Code::not_found);
  s.options.type = "q9";
  CHECK(to(folder.path() / "m.gguf", "qwen2-tiny").code() == Code::invalid_argument);
  CHECK(n_files(folder.path()) == 0);
}

TEST_CASE("quantize: a weight that is not finite is refused with its tensor") {
  Editable e("qwen2-tiny");
  auto& tensor = e.tensors["model.layers.1.mlp.up_proj.weight"];
  const std::uint16_t nan = 0x7fc0;  // bf16
  REQUIRE(tensor.type == DType::bf16);
  std::memcpy(tensor.bytes.data() + 2 * 10, &nan, 2);
  Setup s;
  const Files files = e.files();
  const auto report = s.run(*source_of(files));
  CHECK(report.status().code() == Code::numeric);
  CHECK(report.status().message().starts_with("blk.1.ffn_up.weight: row 0, column 10 is nan"));
  CHECK_FALSE(s.file.committed);
}

TEST_CASE("quantize: importances of the wrong number are refused, right ones change their tensor alone") {
  Setup plain, s;
  plain.options.type = s.options.type = "q4_0";
  REQUIRE(plain.run("qwen2-tiny").ok());
  Importance importance;
  s.options.importance = &importance;
  importance["blk.1.ffn_up.weight"] = {1, 2, 3};
  CHECK(s.run("qwen2-tiny").status().message().starts_with("blk.1.ffn_up.weight: 3 importances, want "));
  const auto was = GgufCheckpoint::open(*plain.file.source(), "model.gguf");
  const std::size_t cols = static_cast<std::size_t>(was->find("blk.1.ffn_up.weight")->shape[1]);
  std::vector<float>& values = importance["blk.1.ffn_up.weight"];
  values.resize(cols);
  for (std::size_t i = 0; i < cols; ++i) values[i] = static_cast<float>(i * i + 1);
  s.file = {};
  REQUIRE(s.run("qwen2-tiny").ok());
  const auto is = GgufCheckpoint::open(*s.file.source(), "model.gguf");
  for (const TensorInfo* before : was->tensors()) {
    const TensorInfo* after = is->find(before->name);
    if (before->type != after->type) continue;  // ffn_down of the first eighth
    CHECK(std::ranges::equal(before->bytes, after->bytes) == (before->name != "blk.1.ffn_up.weight"));
  }
}

TEST_CASE("importance: means of squares are read from llama.cpp's files, and what is no such file is refused") {
  const auto made = [](std::vector<float> sums, Shape shape, std::vector<float> counts) {
    WrittenFile file;
    const auto n = static_cast<std::int64_t>(counts.size());
    auto writer = GgufWriter::create(file.output(), GgufMetadata(), {{"blk.0.ffn_up_exps.weight.in_sum2", DType::f32, shape},
                                                           {"blk.0.ffn_up_exps.weight.counts", DType::f32, {n, 1}}});
    REQUIRE(writer->append(std::as_bytes(std::span(sums))).ok());
    REQUIRE(writer->append(std::as_bytes(std::span(counts))).ok());
    return read_importance({"imatrix.gguf", std::as_bytes(std::span(file.text)), nullptr});
  };
  const auto good = made({2, 4, 6, 0, 3, 9}, {2, 3}, {2, 0});
  REQUIRE_MESSAGE(good.ok(), good.status().message());
  CHECK(good->size() == 1);
  CHECK(good->at("blk.0.ffn_up_exps.weight") == std::vector<float>{1, 2, 3, 0, 0, 0});
  CHECK(made({2, 4, 6, 0, 3, 9}, {2, 3}, {2, 0, 1}).status().code() == Code::bad_file);
  CHECK(made({2, -4, 6, 0, 3, 9}, {2, 3}, {2, 1}).status().message().starts_with(
      "imatrix.gguf: blk.0.ffn_up_exps.weight.in_sum2: element 1 is -4 of 2, "));
  CHECK(read_importance(folder_source(PONDER_TEST_DATA "/gguf")->open("qwen2-tiny.bf16.gguf").value()).status().message().ends_with(
      "no importance matrix: it has no tensor ....in_sum2"));
}

TEST_CASE("quantize: what GGUF cannot say is refused by its key in config.json") {
  const auto message = [](const FileSource& source) {
    Setup s;
    const auto report = s.run(source);
    CHECK(report.status().code() == Code::unsupported);
    CHECK(s.file.text.empty());
    return report.status().message();
  };
  const auto edited = [&](const char* fixture, const char* key, Json value) {
    Editable e(fixture);
    e.config.set(key, std::move(value));
    const Files files = e.files();
    return message(*source_of(files));
  };
  CHECK(message(*folder_source(kModels + "v3-odd-tiny")) ==
        "config.json: rope_scaling.mscale other than mscale_all_dim: GGUF cannot say it");
  const Json::Object llama3{{"rope_type", "llama3"}, {"factor", 8},           {"original_max_position_embeddings", 64},
                            {"low_freq_factor", 1},  {"high_freq_factor", 4}};
  CHECK(edited("qwen2-tiny", "rope_scaling", llama3) == "config.json: rope_scaling llama3 of qwen2: GGUF cannot say it");
}
