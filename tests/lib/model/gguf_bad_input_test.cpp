// GGUF files that lie, as a whole model: every one is a clear error, none a crash.
#include <doctest/doctest.h>

#include "lib/model/model.h"
#include "lib/text/pattern.h"
#include "tests/lib/io/editable_gguf.h"

using namespace ponder::core;
using ponder::test::EditableGguf;
using ponder::test::GgufBytes;
using ponder::test::gguf_source;

namespace {

const char* const kV3 = "v3-tiny.bf16.gguf";

// Of loading and of inspecting, which agree; OK when the file is accepted.
Status status_of(const std::string& bytes) {
  const auto model = Model::load(gguf_source(bytes), {});
  const auto inspection = Model::inspect(*gguf_source(bytes));
  CHECK(inspection.status().message() == model.status().message());
  return model.status();
}
Status status_of(EditableGguf file) { return status_of(file.build()); }

bool names(const Status& status, std::string_view text) { return status.message().find(text) != std::string::npos; }

}  // namespace

TEST_CASE("gguf model: a file cut at any tensor, or anywhere in its header, is refused") {
  EditableGguf file(kV3);
  const std::string bytes = file.build();
  for (const auto& [name, offset] : file.offset) {
    const std::string& tensor = name;
    CAPTURE(tensor);
    const Status cut = status_of(bytes.substr(0, file.data_begin + offset));  // the tensor's data is gone
    CHECK(cut.code() == Code::bad_file);
    const Status short_by_one = status_of(bytes.substr(0, file.data_begin + offset + file.tensors[name].bytes.size() - 1));
    CHECK(names(short_by_one, tensor + ": "));
  }
  for (std::size_t end = 0; end < file.data_begin; end += 211) CHECK_FALSE(status_of(bytes.substr(0, end)).ok());
}

TEST_CASE("gguf model: missing tensors are named together, a stack of experts once") {
  EditableGguf file(kV3);
  for (const char* name : {"blk.0.attn_norm.weight", "blk.1.ffn_up_exps.weight", "blk.2.exp_probs_b.bias", "blk.2.attn_v_b.weight"})
    file.tensors.erase(name);
  const Status status = status_of(file);
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "4 tensors missing or not as the metadata wants them"));
  CHECK(names(status, "blk.0.attn_norm.weight: missing, wanted [64]"));
  CHECK(names(status, "blk.1.ffn_up_exps.weight: missing, wanted [16, 16, 64]"));
  CHECK(names(status, "blk.2.exp_probs_b.bias: missing, wanted [16]"));
  CHECK(names(status, "blk.2.attn_v_b.weight: missing, wanted [4, 16, 32]"));
  file = EditableGguf(kV3);
  file.tensors.erase("blk.1.attn_k_b.weight");
  CHECK(names(status_of(file), "blk.1.attn_kv_b.weight: missing, wanted [128, 32]"));
  file = EditableGguf(kV3);
  file.tensors.erase("token_embd.weight");
  CHECK(names(status_of(file), "token_embd.weight: missing, wanted [320, 64]"));
}

TEST_CASE("gguf model: dimensions that are swapped or of another model are told with what was wanted") {
  for (const char* name : {"blk.0.ffn_up.weight", "blk.1.attn_k_b.weight", "output.weight", "blk.1.ffn_gate_inp.weight"}) {
    CAPTURE(name);
    EditableGguf file(kV3);
    auto& shape = file.tensors[name].shape;
    std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
    CHECK(names(status_of(file), std::string(name) + ": shape ["));
  }
  EditableGguf file(kV3);
  file.set("deepseek2.expert_count", 32u);
  const Status experts = status_of(file);
  CHECK(names(experts, "blk.1.ffn_gate_exps.weight: shape [16, 16, 64], wanted [32, 16, 64]"));
  CHECK(names(experts, "blk.2.ffn_gate_inp.weight: shape [16, 64], wanted [32, 64]"));
  CHECK(names(experts, "10 tensors missing"));
  file = EditableGguf(kV3);
  file.tensors["blk.1.ffn_down_exps.weight"].shape = {16 * 64, 16};
  CHECK(names(status_of(file), "blk.1.ffn_down_exps.weight: shape [1024, 16], wanted [16, 64, 16]"));
}

TEST_CASE("gguf model: a wrong number of layers is seen") {
  EditableGguf file(kV3);
  file.set("deepseek2.block_count", 5u);
  CHECK(names(status_of(file), "blk.3.attn_norm.weight: missing"));
  file.set("deepseek2.block_count", 2u);
  const std::string bytes = file.build();
  const auto model = Model::load(gguf_source(bytes), {});  // the layers that are there make a model
  REQUIRE(model.ok());
  REQUIRE(model.value()->load_report().warnings.size() == 1);
  CHECK(model.value()->load_report().warnings[0].find("tensors of layers from 2 on") != std::string::npos);
}

TEST_CASE("gguf model: types that no matrix or no norm can have are named") {
  EditableGguf file(kV3);
  auto& matrix = file.tensors["blk.0.ffn_up.weight"];
  matrix.type = DType::i8;
  matrix.bytes.resize(matrix.bytes.size() / 2);
  auto& norm = file.tensors["blk.0.attn_norm.weight"];
  norm.type = DType::q8_0;
  norm.bytes.resize(64 / 32 * 34);
  const Status status = status_of(file);
  CHECK(names(status, "blk.0.ffn_up.weight: dtype I8, wanted F32, F16, BF16 or a block type"));
  CHECK(names(status, "blk.0.attn_norm.weight: dtype Q8_0, wanted F32, BF16 or F16"));
}

TEST_CASE("gguf model: counts of 2^62 anywhere allocate nothing and are refused") {
  EditableGguf file(kV3);
  const std::string good = file.build();
  const std::string huge = GgufBytes().u64(std::uint64_t{1} << 62).text;
  for (const std::size_t at : {8u, 16u}) {  // numbers of tensors and of metadata values
    std::string bytes = good;
    bytes.replace(at, 8, huge);
    CHECK(status_of(bytes).code() == Code::bad_file);
  }
  file.metadata["tokenizer.ggml.tokens"].count = std::uint64_t{1} << 62;
  CHECK(names(status_of(file), "tokenizer.ggml.tokens: a count of 4611686018427387904"));
  file = EditableGguf(kV3);
  file.tensors["output.weight"].shape = {std::uint64_t{1} << 31, std::uint64_t{1} << 31};
  CHECK(names(status_of(file), "output.weight: "));
  for (const char* key : {"expert_count", "vocab_size", "embedding_length", "block_count", "attention.head_count"}) {
    CAPTURE(key);
    file = EditableGguf(kV3);
    file.metadata[std::string("deepseek2.") + key] = {GgufType::u64, false, 1, huge};
    CHECK(names(status_of(file), std::string("deepseek2.") + key + ": u64 4611686018427387904"));
  }
}

TEST_CASE("gguf model: tensors that share bytes are refused") {
  EditableGguf file(kV3);
  std::string bytes = file.build();
  // The offset of the last entry of the table, as that of the first.
  const std::string& last = file.tensors.rbegin()->first;
  const std::size_t entry = bytes.find(last, bytes.find("blk.0.attn_k_b.weight")) + last.size();
  const std::size_t rank = file.tensors[last].shape.size();
  bytes.replace(entry + 4 + 8 * rank + 4, 8, GgufBytes().u64(0).text);
  CHECK(names(status_of(bytes), "inside the tensor that ends at"));
}

TEST_CASE("gguf model: a broken tokenizer fails the load, none leaves the token ids") {
  EditableGguf file(kV3);
  file.set("tokenizer.ggml.pre", "grok-2");
  const std::string unknown = file.build();
  const auto refused = Model::load(gguf_source(unknown), {});
  // Without regular expressions no text is expected of a model: what is not supported leaves the token ids, too.
  CHECK(refused.ok() == !has_regular_expressions());
  const Status why = refused.ok() ? refused.value()->tokenizer_status() : refused.status();
  CHECK(why.code() == Code::unsupported);
  CHECK(names(why, "tokenizer.ggml.pre 'grok-2' is not supported"));
  for (const char* key : {"model", "pre", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id"})
    file.metadata.erase(std::string("tokenizer.ggml.") + key);
  const std::string none = file.build();
  const auto model = Model::load(gguf_source(none), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  CHECK_FALSE(model.value()->tokenizer());
  CHECK(model.value()->tokenizer_status().code() == Code::no_tokenizer);
}
