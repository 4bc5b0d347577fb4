// The writer of GGUF files, read back by the reader; and that a failure leaves nothing behind.
#include "lib/io/gguf_writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "lib/io/mapped_file.h"
#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::TemporaryFolder;

namespace {

// Keeps what is written, or fails from byte `limit` on like a full disk.
class MemoryOutput final : public OutputFile {
 public:
  MemoryOutput(std::string& text, bool& committed, std::size_t limit) : text_(text), committed_(committed), limit_(limit) {}
  Status write(std::span<const std::byte> bytes) override {
    if (text_.size() + bytes.size() > limit_) return {Code::io, "out.gguf: cannot write: No space left on device"};
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  }
  Status commit() override {
    committed_ = true;
    return {};
  }

 private:
  std::string& text_;
  bool& committed_;
  std::size_t limit_;
};

struct Written {
  std::string text;
  bool committed = false;
  std::size_t limit = std::numeric_limits<std::size_t>::max();

  Result<GgufWriter> writer(const GgufMetadata& metadata, std::vector<GgufTensor> tensors) {
    text.clear();
    committed = false;
    return GgufWriter::create(std::make_unique<MemoryOutput>(text, committed, limit), metadata, std::move(tensors));
  }
  Gguf parsed() const {
    Result<Gguf> gguf = Gguf::parse({"out.gguf", as_bytes(text), nullptr});
    INFO(gguf.status().message());
    REQUIRE(gguf.ok());
    return std::move(gguf).value();
  }
};

std::vector<GgufTensor> two_tensors() {
  return {{"token_embd.weight", DType::f32, {3, 5}}, {"blk.0.ffn_down_exps.weight", DType::q4_0, {2, 3, 32}}};
}

std::size_t n_files(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("gguf writer: values of every type are read back") {
  GgufMetadata metadata;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(), kLeast = std::numeric_limits<std::int64_t>::min();
  const std::tuple<GgufType, std::int64_t, std::int64_t> integers[] = {
      {GgufType::u8, 0, 255},        {GgufType::i8, -128, 127},
      {GgufType::u16, 0, 65535},     {GgufType::i16, -32768, 32767},
      {GgufType::u32, 0, 4294967295}, {GgufType::i32, -2147483648, 2147483647},
      {GgufType::u64, 0, kMost},     {GgufType::i64, kLeast, kMost}};
  for (const auto& [type, low, high] : integers) {
    const std::string name(gguf_type_name(type));
    metadata.add_integer(name + ".low", type, low);
    metadata.add_integer(name + ".high", type, high);
    metadata.add_integers(name + ".both", type, std::vector<std::int64_t>{low, high, 1});
  }
  metadata.add_f32("f32", 0.1f);
  metadata.add_f64("f64", 0.1);
  metadata.add_bool("yes", true);
  metadata.add_bool("no", false);
  metadata.add_string("text", "caf\u00e9");
  metadata.add_string("empty", "");
  metadata.add_f32s("f32s", std::vector<float>{1.5f, -2});
  metadata.add_f64s("f64s", std::vector<double>{1.5, -2});
  metadata.add_bools("bools", std::array<bool, 3>{true, false, true});
  metadata.add_strings("texts", std::vector<std::string>{"a", "", "\u4f60\u597d"});
  metadata.add_strings("none", {});
  Written out;
  auto writer = out.writer(metadata, {});
  REQUIRE(writer.ok());
  REQUIRE(writer->finish().ok());
  CHECK(out.committed);
  CHECK(writer->file_bytes() == out.text.size());

  const Gguf gguf = out.parsed();
  CHECK(gguf.version() == 3);
  CHECK(gguf.metadata().size() == metadata.count());
  for (const auto& [type, low, high] : integers) {
    const std::string name(gguf_type_name(type));
    REQUIRE(gguf.find_value(name + ".low"));
    CHECK(gguf.find_value(name + ".low")->type() == type);
    CHECK(gguf.find_value(name + ".low")->integer() == low);
    CHECK(gguf.find_value(name + ".high")->integer() == high);
    CHECK(gguf.find_value(name + ".both")->integers() == std::vector<std::int64_t>{low, high, 1});
  }
  CHECK(gguf.find_value("f32")->number() == double{0.1f});
  CHECK(gguf.find_value("f64")->number() == 0.1);
  CHECK(gguf.find_value("yes")->boolean() == true);
  CHECK(gguf.find_value("no")->boolean() == false);
  CHECK(gguf.find_value("text")->string() == "caf\u00e9");
  CHECK(gguf.find_value("empty")->string() == "");
  CHECK(gguf.find_value("f32s")->numbers() == std::vector<double>{1.5, -2});
  CHECK(gguf.find_value("f64s")->numbers() == std::vector<double>{1.5, -2});
  CHECK(gguf.find_value("bools")->describe() == "an array of 3 bool");
  CHECK(gguf.find_value("texts")->strings() == std::vector<std::string_view>{"a", "", "\u4f60\u597d"});
  CHECK(gguf.find_value("none")->strings() == std::vector<std::string_view>{});
}

TEST_CASE("gguf writer: a value of another file is copied as it is") {
  GgufMetadata first, second;
  first.add_strings("texts", std::vector<std::string>{"a", "bc"});
  first.add_integer("number", GgufType::u16, 7);
  Written out, copy;
  REQUIRE(out.writer(first, {}).ok());
  const Gguf gguf = out.parsed();
  for (const Gguf::Entry& entry : gguf.metadata()) second.add_value(entry.key, entry.value);
  REQUIRE(copy.writer(second, {}).ok());
  CHECK(copy.text == out.text);
}

TEST_CASE("gguf writer: tensors come back with their shapes and bytes, given in pieces of any size") {
  std::string data[] = {std::string(60, '\0'), std::string(6 * 18, '\0')};
  for (std::size_t t = 0; t < 2; ++t)
    for (std::size_t i = 0; i < data[t].size(); ++i) data[t][i] = static_cast<char>(7 * i + t);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    Written out;
    auto writer = out.writer({}, two_tensors());
    REQUIRE(writer.ok());
    for (std::size_t t = 0; t < 2; ++t)
      for (std::size_t i = 0; i < data[t].size(); i += piece) {
        CHECK(writer->tensor() == t);
        CHECK(writer->tensor_bytes() == i);
        REQUIRE(writer->append(as_bytes(std::string_view(data[t]).substr(i, piece))).ok());
      }
    CHECK(writer->tensor() == 2);
    REQUIRE(writer->finish().ok());
    CHECK(writer->file_bytes() == out.text.size());
    const Gguf gguf = out.parsed();
    REQUIRE(gguf.tensors().size() == 2);
    for (std::size_t t = 0; t < 2; ++t) {
      const TensorInfo &info = gguf.tensors()[t];
      CHECK(info.name == two_tensors()[t].name);
      CHECK(info.type == two_tensors()[t].type);
      CHECK(info.shape == two_tensors()[t].shape);
      CHECK(std::ranges::equal(info.bytes, as_bytes(data[t])));
    }
  }
}

TEST_CASE("gguf writer: metadata that the format cannot hold is refused by name") {
  const auto message = [](auto&& add) {
    GgufMetadata metadata;
    add(metadata);
    Written out;
    const auto writer = out.writer(metadata, {});
    CHECK(writer.status().code() == Code::invalid_argument);
    CHECK(out.text.empty());
    return writer.status().message();
  };
  CHECK(message([](GgufMetadata& m) { m.add_u32("llama.block_count", -1); }) == "metadata llama.block_count: -1 is no u32");
  CHECK(message([](GgufMetadata& m) { m.add_integers("ids", GgufType::i8, std::vector<std::int64_t>{1, 128}); }) ==
        "metadata ids: 128 is no i8");
  CHECK(message([](GgufMetadata& m) { m.add_integer("x", GgufType::f32, 1); }) == "metadata x: 1 is no f32");
  CHECK(message([](GgufMetadata& m) {
          m.add_bool("twice", true);
          m.add_string("twice", "x");
        }) == "metadata twice is given twice");
  CHECK(message([](GgufMetadata& m) { m.add_string("text", "\xff"); }) == "metadata text: text that is not valid UTF-8");
  CHECK(message([](GgufMetadata& m) { m.add_strings("texts", std::vector<std::string>{"\xc3"}); }) ==
        "metadata texts: text that is not valid UTF-8");
  CHECK(message([](GgufMetadata& m) { m.add_u32("", 1); }).starts_with("a metadata key of 0 bytes"));
  CHECK(message([](GgufMetadata& m) { m.add_u32("general.alignment", 64); }) == "general.alignment is not to be given");
}

TEST_CASE("gguf writer: tensors that the format cannot hold are refused by name") {
  const auto message = [](GgufTensor tensor) {
    Written out;
    const auto writer = out.writer({}, {{"first", DType::f32, {1}}, std::move(tensor)});
    CHECK_FALSE(writer.ok());
    CHECK(out.text.empty());
    return writer.status().message();
  };
  CHECK(message({"first", DType::f32, {1}}) == "first: a second tensor of that name");
  CHECK(message({std::string(64, 'x'), DType::f32, {1}}).ends_with(": a tensor's name has 1 to 63 bytes of UTF-8"));
  CHECK(message({"", DType::f32, {1}}).starts_with("''"));
  CHECK(message({"w", DType::f8_e4m3, {1}}) == "w: GGUF has no F8_E4M3");
  CHECK(message({"w", DType::f32, {3, 0}}) == "w: shape [3, 0] cannot be written");
  CHECK(message({"w", DType::f32, {}}) == "w: shape [], F32 wants rows of a multiple of 1");
  CHECK(message({"w", DType::f32, {std::int64_t{1} << 40, std::int64_t{1} << 40}}).ends_with("cannot be written"));
  CHECK(message({"w", DType::q4_k, {2, 128}}) == "w: shape [2, 128], Q4_K wants rows of a multiple of 256");
}

TEST_CASE("gguf writer: data of the wrong size is refused, and an incomplete file is not finished") {
  Written out;
  auto writer = out.writer({}, two_tensors());
  REQUIRE(writer.ok());
  CHECK(writer->append(as_bytes(std::string(61, 'x'))).message() == "token_embd.weight: 61 bytes more, it wants 60");
  REQUIRE(writer->append(as_bytes(std::string(60, 'x'))).ok());
  REQUIRE(writer->append(as_bytes(std::string(8, 'x'))).ok());
  CHECK(writer->finish().message() == "blk.0.ffn_down_exps.weight: 8 of 108 bytes were given");
  CHECK_FALSE(out.committed);
  REQUIRE(writer->append(as_bytes(std::string(100, 'x'))).ok());
  CHECK(writer->append(as_bytes("x")).message() == "1 bytes behind the last tensor");
  CHECK(writer->finish().ok());
}

TEST_CASE("gguf writer: a full disk is an error at any byte") {
  std::size_t whole = 0;
  for (std::size_t limit = 0; whole == 0 || limit < whole; limit += 11) {
    Written out;
    out.limit = limit;
    auto writer = out.writer({}, two_tensors());
    Status status = writer.ok() ? writer->append(as_bytes(std::string(60, 'x'))) : writer.status();
    if (status.ok()) status = writer->append(as_bytes(std::string(108, 'x')));
    if (status.ok()) {
      whole = limit;
      CHECK(writer->file_bytes() <= limit);
    } else {
      CHECK(status.code() == Code::io);
      if (writer.ok()) CHECK(writer->finish().code() != Code::ok);
      CHECK_FALSE(out.committed);
    }
  }
}

TEST_CASE("output file: it appears when it is committed, and replaces what was there") {
  TemporaryFolder folder;
  const auto path = folder.path() / "model.gguf";
  REQUIRE(write_file(path, as_bytes("old")).ok());
  auto file = create_file(path);
  REQUIRE(file.ok());
  REQUIRE((*file)->write(as_bytes("new ")).ok());
  REQUIRE((*file)->write(as_bytes("file")).ok());
  CHECK(read_file(path, 100).value() == "old");
  REQUIRE((*file)->commit().ok());
  CHECK(read_file(path, 100).value() == "new file");
  file.value().reset();
  CHECK(n_files(folder.path()) == 1);
}

TEST_CASE("output file: without a commit nothing is left of it") {
  TemporaryFolder folder;
  {
    auto file = create_file(folder.path() / "model.gguf");
    REQUIRE(file.ok());
    REQUIRE((*file)->write(as_bytes("half")).ok());
    CHECK(n_files(folder.path()) == 1);  // under another name
    CHECK_FALSE(std::filesystem::exists(folder.path() / "model.gguf"));
  }
  CHECK(n_files(folder.path()) == 0);
}

TEST_CASE("output file: a folder that does not exist, and a target that cannot be replaced, are errors that name it") {
  TemporaryFolder folder;
  CHECK(create_file(folder.path() / "none" / "model.gguf").status().code() == Code::not_found);
  std::filesystem::create_directories(folder.path() / "model.gguf" / "inside");
  auto file = create_file(folder.path() / "model.gguf");
  REQUIRE(file.ok());
  const Status status = (*file)->commit();
  CHECK(status.code() == Code::io);
  CHECK(status.message().find("model.gguf: cannot rename") != std::string::npos);
  file.value().reset();
  CHECK(n_files(folder.path()) == 1);
}
