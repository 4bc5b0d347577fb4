#include "lib/io/safetensors.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;

namespace {

std::string with_header(std::string_view header, std::size_t data_bytes) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((header.size() >> (8 * i)) & 0xff);
  return file.append(header).append(data_bytes, 'd');
}

Result<Safetensors> parse(std::string_view file) { return Safetensors::parse({"test", as_bytes(file), nullptr}); }

std::string failure(std::string_view header, std::size_t data_bytes) {
  const std::string file = with_header(header, data_bytes);
  const Result<Safetensors> result = parse(file);
  return result.ok() ? "" : result.status().message();
}

bool mentions(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string file_of(std::initializer_list<const char*> names) {
  std::vector<TensorToWrite> tensors;
  for (const char* name : names) tensors.push_back({name, DType::u8, {4}, as_bytes("data")});
  return serialize_safetensors(tensors).value();
}

Result<Checkpoint> open_files(std::vector<std::pair<std::string, std::string>>& files) {
  std::vector<MemoryFile> memory;
  for (const auto& [name, text] : files) memory.push_back({name, as_bytes(text)});
  return Checkpoint::open(*memory_source(std::move(memory)));
}

}  // namespace

TEST_CASE("safetensors: what was written is read back") {
  const std::vector<TensorToWrite> tensors = {{"a", DType::f32, {2, 1}, as_bytes("12345678")},
                                              {"nothing", DType::bf16, {0, 7}, {}},
                                              {"scalar \"\xc3\xa9\"", DType::i16, {}, as_bytes("xy")}};
  const Result<std::string> file = serialize_safetensors(tensors);
  REQUIRE(file.ok());
  Result<Safetensors> parsed = parse(*file);
  REQUIRE(parsed.ok());
  const Safetensors moved = std::move(parsed).value();
  REQUIRE(moved.tensors().size() == 3);
  for (const TensorToWrite& tensor : tensors) {
    const TensorInfo* found = moved.find(tensor.name);
    REQUIRE(found != nullptr);
    CHECK(found->type == tensor.type);
    CHECK(found->shape == tensor.shape);
    CHECK(std::equal(found->bytes.begin(), found->bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
  }
  CHECK(moved.find("b") == nullptr);
}

TEST_CASE("safetensors: every truncation of a file is refused") {
  const std::string file = file_of({"a", "b"});
  REQUIRE(parse(file).ok());
  for (std::size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse(std::string(file, 0, size)).ok());
  }
  CHECK_FALSE(parse(file + "x").ok());
}

TEST_CASE("safetensors: a flipped bit in the header gives tensors inside the file or a status") {
  const std::string file = file_of({"a", "b"});
  for (std::size_t bit = 0; bit < (file.size() - 8) * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const Result<Safetensors> result = parse(flipped);
    if (!result.ok()) {
      CHECK_FALSE(result.status().message().empty());
      continue;
    }
    for (const TensorInfo& tensor : result.value().tensors()) {
      CHECK(tensor.bytes.data() >= as_bytes(flipped).data());
      CHECK(tensor.bytes.data() + tensor.bytes.size() <= as_bytes(flipped).data() + flipped.size());
    }
  }
}

TEST_CASE("safetensors: metadata and spaces after the header are fine") {
  CHECK(failure(R"({"__metadata__": {"format": "pt"}, "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}   )",
                2) == "");
  CHECK(failure("{}", 0) == "");
}

TEST_CASE("safetensors: tensors may be listed in another order than they lie") {
  CHECK(failure(R"({"b": {"dtype": "U8", "shape": [2], "data_offsets": [2, 4]},
                    "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})",
                4) == "");
}

TEST_CASE("safetensors: an overlap, a hole and a range outside the data name the tensor") {
  CHECK(mentions(failure(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                             "bad": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})",
                         3),
                 "bad: begins at byte 1, inside"));
  CHECK(mentions(failure(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                             "bad": {"dtype": "U8", "shape": [2], "data_offsets": [3, 5]}})",
                         5),
                 "bad: begins at byte 3"));
  CHECK(mentions(failure(R"({"bad": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}})", 8), "bad: data_offsets"));
  CHECK(mentions(failure(R"({"bad": {"dtype": "U8", "shape": [0], "data_offsets": [2, 0]}})", 8), "bad: data_offsets"));
  CHECK(mentions(failure(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}})", 3), "end at byte 2"));
}

TEST_CASE("safetensors: sizes of 2^60 and more are refused, also beside a zero") {
  for (const char* shape : {"[1152921504606846976, 16]", "[4294967296, 4294967296, 4294967296]",
                            "[4611686018427387904, 4611686018427387904, 0]", "[0, 9223372036854775807, 2]",
                            "[9223372036854775807]"}) {
    CAPTURE(shape);
    const std::string header =
        std::string(R"({"bad": {"dtype": "F32", "shape": )") + shape + R"(, "data_offsets": [0, 0]}})";
    CHECK(mentions(failure(header, 0), "bad: shape"));
  }
  CHECK(mentions(failure(R"({"bad": {"dtype": "F32", "shape": [1152921504606846976], "data_offsets": [0, 4]}})", 4),
                 "bad: 4 bytes of data"));
  CHECK(mentions(failure(R"({"bad": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1152921504606846976]}})", 4),
                 "bad: data_offsets"));
  CHECK(mentions(failure(R"({"bad": {"dtype": "U8", "shape": [18446744073709551616], "data_offsets": [0, 0]}})", 4),
                 "bad: shape holds"));
  CHECK_FALSE(parse(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)).ok());
}

TEST_CASE("safetensors: a name given twice is refused") {
  CHECK(mentions(failure(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                             "a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}})",
                         2),
                 "a: named twice"));
}

TEST_CASE("safetensors: tensors of a dtype or rank that is not supported are set aside, with the reason") {
  for (const auto& [entry, reason] : {std::pair(R"("U16", "shape": [1])", "dtype U16 is not supported"),
                                      std::pair(R"("F8_E5M2", "shape": [2])", "dtype F8_E5M2 is not supported"),
                                      std::pair(R"("U8", "shape": [1,2,1,1,1])", "more than 4 dimensions are not supported")}) {
    const std::string file = with_header(std::string(R"({"a": {"dtype": )") + entry +
                                             R"(, "data_offsets": [0, 2]}, "b": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}})",
                                         3);
    const Result<Safetensors> parsed = parse(file);
    REQUIRE(parsed.ok());
    CHECK(parsed->find("a") == nullptr);
    CHECK(parsed->find("b") != nullptr);
    REQUIRE(parsed->unusable().size() == 1);
    CHECK(parsed->unusable()[0].name == "a");
    CHECK(parsed->unusable()[0].reason == reason);
  }
}

TEST_CASE("safetensors: a header of another form is refused") {
  for (const char* header : {"[]", " {}", "{} {}", R"({"a": 1})", R"({"a": []})", R"({"a": {}})", R"({"__metadata__": )",
                             R"({"a": {"dtype": 1, "shape": [], "data_offsets": [0, 1]}})",
                             R"({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}})",
                             R"({"a": {"dtype": "U8", "shape": 1, "data_offsets": [0, 1]}})",
                             R"({"a": {"dtype": "U8", "shape": [[1]], "data_offsets": [0, 1]}})",
                             R"({"a": {"dtype": "U8", "shape": [], "data_offsets": [0]}})",
                             R"({"a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1, 1]}})",
                             R"({"a": {"dtype": "U8", "shape": [1.0], "data_offsets": [0, 1]}})",
                             R"({"a": {"dtype": "U8", "dtype": "U8", "shape": [], "data_offsets": [0, 1]}})"}) {
    CAPTURE(header);
    CHECK(failure(header, 1) != "");
  }
}

TEST_CASE("safetensors: the writer refuses bytes that do not fit the shape and a name given twice") {
  const TensorToWrite wrong[] = {{"a", DType::f32, {2}, as_bytes("1234")}};
  CHECK_FALSE(serialize_safetensors(wrong).ok());
  const TensorToWrite twice[] = {{"a", DType::u8, {1}, as_bytes("1")}, {"a", DType::u8, {1}, as_bytes("1")}};
  CHECK_FALSE(serialize_safetensors(twice).ok());
}

TEST_CASE("checkpoint: without an index it is model.safetensors") {
  std::vector<std::pair<std::string, std::string>> files = {{"model.safetensors", file_of({"a", "b"})}};
  const Result<Checkpoint> checkpoint = open_files(files);
  REQUIRE(checkpoint.ok());
  CHECK(checkpoint->find("b") != nullptr);
  CHECK(checkpoint->total_bytes() == 8);
  files.clear();
  CHECK(open_files(files).status().code() == Code::not_found);
}

TEST_CASE("checkpoint: the weight_map alone says which tensors count") {
  std::vector<std::pair<std::string, std::string>> files = {
      {"model.safetensors.index.json", R"({"weight_map": {"b": "2.safetensors", "a": "1.safetensors"}})"},
      {"1.safetensors", file_of({"a", "b", "c"})},
      {"2.safetensors", file_of({"b"})}};
  const Result<Checkpoint> checkpoint = open_files(files);
  REQUIRE(checkpoint.ok());
  CHECK(checkpoint->tensors().size() == 2);
  CHECK(checkpoint->total_bytes() == 8);
  CHECK(checkpoint->find("c") == nullptr);
  REQUIRE(checkpoint->find("b") != nullptr);
  CHECK(checkpoint->find("b")->bytes.data() == checkpoint->shards()[0]->find("b")->bytes.data());
}

TEST_CASE("checkpoint: missing shards and tensors missing from their shard are named") {
  std::vector<std::pair<std::string, std::string>> files = {
      {"model.safetensors.index.json",
       R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "3.safetensors", "d": "2.safetensors"}})"},
      {"1.safetensors", file_of({"a"})}};
  Result<Checkpoint> checkpoint = open_files(files);
  REQUIRE_FALSE(checkpoint.ok());
  CHECK(checkpoint.status().code() == Code::not_found);
  CHECK(mentions(checkpoint.status().message(), "2.safetensors (wanted for b), 3.safetensors (wanted for c)"));
  files.push_back({"2.safetensors", file_of({"c", "b"})});
  files.push_back({"3.safetensors", file_of({"c"})});
  checkpoint = open_files(files);
  REQUIRE(checkpoint.ok());
  CHECK(checkpoint->find("b") != nullptr);
  CHECK(checkpoint->find("d") == nullptr);
  REQUIRE(checkpoint->unusable().size() == 1);
  CHECK(checkpoint->unusable()[0].name == "d");
  CHECK(mentions(checkpoint->unusable()[0].reason, "missing from 2.safetensors"));
}

TEST_CASE("checkpoint: a shard outside the folder is refused") {
  for (const char* shard : {"../1.safetensors", "/1.safetensors", "a/../../1.safetensors", "..\\\\1.safetensors"}) {
    CAPTURE(shard);
    std::vector<std::pair<std::string, std::string>> files = {
        {"model.safetensors.index.json", std::string(R"({"weight_map": {"a": ")") + shard + "\"}}"}};
    const Result<Checkpoint> checkpoint = open_files(files);
    REQUIRE_FALSE(checkpoint.ok());
    CHECK(mentions(checkpoint.status().message(), "not inside the checkpoint"));
  }
}

TEST_CASE("checkpoint: an index without a weight_map is refused") {
  for (const char* index : {"{}", "[]", R"({"weight_map": {}})", R"({"weight_map": {"a": 1}})"}) {
    std::vector<std::pair<std::string, std::string>> files = {{"model.safetensors.index.json", index}};
    CHECK(open_files(files).status().code() == Code::bad_file);
  }
}
