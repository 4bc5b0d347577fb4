#include <doctest/doctest.h>

#include <algorithm>

#include "lib/io/gguf.h"
#include "lib/io/safetensors.h"
#include "tests/lib/io/gguf_file.h"
#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::GgufBytes;
using ponder::test::GgufFile;

namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

Result<GgufCheckpoint> open_files(const Files& files, std::string_view name) {
  std::vector<MemoryFile> memory;
  for (const auto& [file, bytes] : files) memory.push_back({file, as_bytes(bytes)});
  return GgufCheckpoint::open(*memory_source(std::move(memory)), name);
}

std::string failure(const Files& files, std::string_view name) {
  const Result<GgufCheckpoint> result = open_files(files, name);
  return result.ok() ? "" : result.status().message();
}

bool mentions(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string part(std::uint32_t number, std::uint32_t count, std::string_view tensor, std::uint32_t n_tensors = 2) {
  GgufFile file;
  file.u16("split.no", number).u16("split.count", count);
  file.value("split.tensors.count", GgufType::i32, GgufBytes().u32(n_tensors));
  if (number == 0) file.string("general.architecture", "llama");
  file.tensor(tensor, {4}, 24, 0).data = "data";
  return file.bytes();
}

Gguf fixture(const std::string& name) {
  const auto source = folder_source(PONDER_TEST_DATA "/gguf");
  Result<FileView> file = source->open(name);
  REQUIRE(file.ok());
  Result<Gguf> gguf = Gguf::parse(std::move(file).value());
  REQUIRE(gguf.ok());
  return std::move(gguf).value();
}

bool same_bytes(const TensorInfo* a, const TensorInfo* b) {
  return a && b && a->type == b->type && std::equal(a->bytes.begin(), a->bytes.end(), b->bytes.begin(), b->bytes.end());
}

}  // namespace

TEST_CASE("gguf checkpoint: a file without split keys is the whole model") {
  GgufFile file;
  file.string("general.name", "m").tensor("a", {4}, 24, 0).data = "data";
  const Files files = {{"any name", file.bytes()}};
  const Result<GgufCheckpoint> checkpoint = open_files(files, "any name");
  REQUIRE(checkpoint.ok());
  CHECK(checkpoint->find("a") != nullptr);
  CHECK(checkpoint->find("b") == nullptr);
  CHECK(checkpoint->total_bytes() == 4);
  CHECK(checkpoint->find_value("general.name")->string() == "m");
  CHECK(open_files(files, "other").status().code() == Code::not_found);
}

TEST_CASE("gguf checkpoint: the parts of a split model are found from any of them") {
  const Files files = {{"x/m-00001-of-00002.gguf", part(0, 2, "a")}, {"x/m-00002-of-00002.gguf", part(1, 2, "b")}};
  for (const char* name : {"x/m-00001-of-00002.gguf", "x/m-00002-of-00002.gguf"}) {
    const Result<GgufCheckpoint> checkpoint = open_files(files, name);
    REQUIRE(checkpoint.ok());
    CHECK(checkpoint->parts().size() == 2);
    CHECK(checkpoint->tensors().size() == 2);
    CHECK(checkpoint->tensors()[0]->name == "a");
    CHECK(checkpoint->total_bytes() == 8);
    CHECK(checkpoint->find("b") != nullptr);
    CHECK(checkpoint->find_value("general.architecture")->string() == "llama");
  }
}

TEST_CASE("gguf checkpoint: a missing part is named") {
  const Files files = {{"m-00001-of-00002.gguf", part(0, 2, "a")}};
  const Result<GgufCheckpoint> checkpoint = open_files(files, "m-00001-of-00002.gguf");
  REQUIRE_FALSE(checkpoint.ok());
  CHECK(checkpoint.status().code() == Code::not_found);
  CHECK(mentions(checkpoint.status().message(), "m-00002-of-00002.gguf is missing"));
}

TEST_CASE("gguf checkpoint: names, numbers and counts that disagree are refused") {
  const char *one = "m-00001-of-00002.gguf", *two = "m-00002-of-00002.gguf";
  for (const char* name : {"m.gguf", "m-00001-of-00003.gguf", "m-0001-of-00002.gguf", "m-00001-of-00002.ggufx", "gguf"})
    CHECK(mentions(failure({{name, part(0, 2, "a")}}, name), "does not end in -00001-of-00002.gguf"));
  CHECK(mentions(failure({{one, part(1, 2, "a")}, {two, part(0, 2, "b")}}, one), "part 2 of 2"));
  CHECK(mentions(failure({{one, part(0, 2, "a")}, {two, part(1, 3, "b")}}, one), "part 2 of 3"));
  CHECK(mentions(failure({{one, part(0, 2, "a")}, {two, part(1, 2, "a")}}, one), "a: another part has it too"));
  CHECK(mentions(failure({{one, part(0, 2, "a", 3)}, {two, part(1, 2, "b")}}, one), "split.tensors.count says 3"));
  CHECK(mentions(failure({{one, GgufFile().string("split.count", "2").bytes()}}, one), "split.count: '2', want"));
  CHECK(mentions(failure({{one, GgufFile().u32("split.count", 99999).bytes()}}, one), "does not end in"));
}

TEST_CASE("gguf checkpoint: the bf16 fixtures hold the weights of their safetensors twins") {
  struct Twin {
    const char *gguf, *folder, *tensor, *twin;
  };
  for (const Twin& twin :
       {Twin{"qwen2-tiny.bf16.gguf", "qwen2-tiny", "blk.2.ffn_down.weight", "model.layers.2.mlp.down_proj.weight"},
        Twin{"llama3-tiny.bf16.gguf", "llama3-tiny", "output.weight", "lm_head.weight"},
        Twin{"v2lite-tiny.bf16.gguf", "v2lite-tiny", "blk.1.attn_kv_b.weight",
             "model.layers.1.self_attn.kv_b_proj.weight"},
        Twin{"v3-tiny.bf16.gguf", "v3-tiny", "blk.1.attn_q_a.weight", "model.layers.1.self_attn.q_a_proj.weight"}}) {
    CAPTURE(twin.gguf);
    const Gguf gguf = fixture(twin.gguf);
    const auto folder = folder_source(std::string(PONDER_TEST_DATA "/models/") + twin.folder);
    const Result<Checkpoint> checkpoint = Checkpoint::open(*folder);
    REQUIRE(checkpoint.ok());
    CHECK(same_bytes(gguf.find(twin.tensor), checkpoint->find(twin.twin)));
    CHECK(gguf.find(twin.tensor)->shape == checkpoint->find(twin.twin)->shape);
    CHECK(same_bytes(gguf.find("token_embd.weight"), checkpoint->find("model.embed_tokens.weight")));
  }
}

TEST_CASE("gguf checkpoint: a stack of experts is [experts, rows, columns]") {
  const Gguf gguf = fixture("v3-tiny.bf16.gguf");
  const TensorInfo* experts = gguf.find("blk.1.ffn_down_exps.weight");
  REQUIRE(experts != nullptr);
  CHECK(experts->shape == Shape{16, 64, 16});
  const auto folder = folder_source(PONDER_TEST_DATA "/models/v3-tiny");
  const Result<Checkpoint> checkpoint = Checkpoint::open(*folder);
  REQUIRE(checkpoint.ok());
  const TensorInfo* fifth = checkpoint->find("model.layers.1.mlp.experts.5.down_proj.weight");
  REQUIRE(fifth != nullptr);
  const auto slice = experts->bytes.subspan(5 * fifth->bytes.size(), fifth->bytes.size());
  CHECK(std::equal(slice.begin(), slice.end(), fifth->bytes.begin()));
}

TEST_CASE("gguf checkpoint: block types, vocabulary and settings of a real file are read") {
  const Gguf gguf = fixture("llama3-kq-tiny.gguf");
  CHECK(gguf.find("token_embd.weight")->type == DType::q4_k);
  CHECK(gguf.find("output.weight")->type == DType::q6_k);
  CHECK(gguf.find("blk.0.ffn_up.weight")->type == DType::q5_0);
  CHECK(gguf.find("blk.0.attn_k.weight")->bytes.size() == row_bytes(DType::q5_k, 256 * 128));
  CHECK(gguf.find_value("llama.rope.freq_base")->number() == 500000.0);
  CHECK(gguf.find_value("tokenizer.ggml.tokens")->strings()->at(2) == "\xc4\x80");
  CHECK(gguf.find_value("tokenizer.ggml.token_type")->integers()->size() == 320);
}

TEST_CASE("gguf checkpoint: every truncation of a real file's header, and of its data, is refused") {
  const auto source = folder_source(PONDER_TEST_DATA "/gguf");
  const Result<FileView> file = source->open("llama3-kq-tiny.gguf");
  REQUIRE(file.ok());
  const std::size_t header_bytes = 6937;
  for (std::size_t size = 0; size < file->bytes.size(); size += size < header_bytes ? 1 : 997) {
    const Result<Gguf> cut = Gguf::parse({"cut", file->bytes.first(size), nullptr});
    if (cut.ok()) FAIL_CHECK("accepted with " << size << " bytes");
  }
}
