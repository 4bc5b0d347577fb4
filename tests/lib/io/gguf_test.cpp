#include "lib/io/gguf.h"

#include <doctest/doctest.h>

#include "tests/lib/io/gguf_file.h"
#include "tests/lib/io/temporary_folder.h"

using namespace ponder::core;
using ponder::test::as_bytes;
using ponder::test::GgufBytes;
using ponder::test::GgufFile;

namespace {

constexpr std::uint32_t kF32 = 0, kQ4K = 12, kI8 = 24;  // ggml's numbers

Result<Gguf> parse(std::string_view file) { return Gguf::parse({"test", as_bytes(file), nullptr}); }

std::string failure(const GgufFile& file) {
  const std::string bytes = file.bytes();
  const Result<Gguf> result = parse(bytes);
  return result.ok() ? "" : result.status().message();
}

bool mentions(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Every kind of value, three tensors in another order than their data, no padding at the end.
GgufFile sample() {
  GgufFile file;
  file.string("general.architecture", "llama").u32("general.alignment", 32);
  file.value("a.u8", GgufType::u8, GgufBytes().integer(200, 1))
      .value("a.i8", GgufType::i8, GgufBytes().integer(0xff, 1));
  file.u16("a.u16", 65535).value("a.i16", GgufType::i16, GgufBytes().integer(0x8000, 2));
  file.value("a.i32", GgufType::i32, GgufBytes().u32(0xfffffffe));
  file.value("a.u64", GgufType::u64, GgufBytes().u64(std::uint64_t{1} << 63));
  file.value("a.i64", GgufType::i64, GgufBytes().u64(~std::uint64_t{0}));
  file.value("a.f32", GgufType::f32, GgufBytes().u32(std::bit_cast<std::uint32_t>(1.5f)));
  file.value("a.f64", GgufType::f64, GgufBytes().u64(std::bit_cast<std::uint64_t>(-0.25)));
  file.value("a.yes", GgufType::boolean, GgufBytes().integer(1, 1));
  file.array("a.words", GgufType::string, 3, GgufBytes().string("eins").string("").string("dr\xc3\xa9i"));
  file.array("a.numbers", GgufType::i32, 2, GgufBytes().u32(7).u32(0xffffffff));
  file.array("a.floats", GgufType::f32, 1, GgufBytes().u32(std::bit_cast<std::uint32_t>(0.5f)));
  file.array("a.none", GgufType::string, 0, {});
  file.tensor("second", {256, 2}, kQ4K, 32).tensor("first", {3, 2}, kF32, 0).tensor("bytes", {1, 1, 2, 3}, kI8, 320);
  file.data = std::string(32 + 288 + 6, 'd');
  return file;
}

}  // namespace

TEST_CASE("gguf: every kind of metadata value is read as it was written") {
  const std::string bytes = sample().bytes();
  const Result<Gguf> file = parse(bytes);
  REQUIRE(file.ok());
  const auto value = [&](std::string_view key) -> const GgufValue& { return *file->find_value(key); };
  CHECK(file->version() == 3);
  CHECK(file->metadata().size() == 16);
  CHECK(file->metadata()[0].key == "general.architecture");
  CHECK(value("general.architecture").string() == "llama");
  CHECK(value("a.u8").integer() == 200);
  CHECK(value("a.i8").integer() == -1);
  CHECK(value("a.u16").integer() == 65535);
  CHECK(value("a.i16").integer() == -32768);
  CHECK(value("a.i32").integer() == -2);
  CHECK(value("a.i64").integer() == -1);
  CHECK(value("a.f32").number() == 1.5);
  CHECK(value("a.f64").number() == -0.25);
  CHECK(value("a.yes").boolean() == true);
  CHECK(value("a.words").strings() == std::vector<std::string_view>{"eins", "", "dr\xc3\xa9i"});
  CHECK(value("a.numbers").integers() == std::vector<std::int64_t>{7, -1});
  CHECK(value("a.floats").numbers() == std::vector<double>{0.5});
  CHECK(value("a.none").strings() == std::vector<std::string_view>{});
  CHECK(file->find_value("a.other") == nullptr);
}

TEST_CASE("gguf: a value is not read as another type, but whole numbers also as numbers") {
  const std::string bytes = sample().bytes();
  const Result<Gguf> file = parse(bytes);
  REQUIRE(file.ok());
  const auto value = [&](std::string_view key) -> const GgufValue& { return *file->find_value(key); };
  CHECK(value("a.u64").number() == 0x1p63);
  CHECK_FALSE(value("a.u64").integer().has_value());  // beyond int64
  CHECK(value("a.u8").number() == 200);
  CHECK(value("a.numbers").numbers() == std::vector<double>{7, -1});
  CHECK_FALSE(value("a.f32").integer().has_value());
  CHECK_FALSE(value("a.yes").integer().has_value());
  CHECK_FALSE(value("a.u8").boolean().has_value());
  CHECK_FALSE(value("general.architecture").number().has_value());
  CHECK_FALSE(value("a.words").string().has_value());
  CHECK_FALSE(value("a.numbers").integer().has_value());
  CHECK_FALSE(value("a.u8").integers().has_value());
  CHECK_FALSE(value("a.words").numbers().has_value());
}

TEST_CASE("gguf: values describe themselves for messages") {
  const std::string bytes = sample().string("long", std::string(59, 'x') + "\xc3\xa9" + "end").bytes();
  const Result<Gguf> file = parse(bytes);
  REQUIRE(file.ok());
  CHECK(file->find_value("a.words")->describe() == "an array of 3 string");
  CHECK(file->find_value("a.u8")->describe() == "u8 200");
  CHECK(file->find_value("a.yes")->describe() == "true");
  CHECK(file->find_value("general.architecture")->describe() == "'llama'");
  CHECK(file->find_value("long")->describe() == "'" + std::string(59, 'x') + "'...");  // no half character
}

TEST_CASE("gguf: tensors have row-major shapes and their own bytes") {
  GgufFile sample_file = sample();
  sample_file.data.replace(0, 6, "abcdef").replace(32, 2, "gh").replace(320, 2, "ij");
  for (std::uint32_t version : {2, 3}) {
    sample_file.version = version;
    const std::string bytes = sample_file.bytes();
    Result<Gguf> parsed = parse(bytes);
    REQUIRE(parsed.ok());
    const Gguf file = std::move(parsed).value();
    REQUIRE(file.tensors().size() == 3);
    CHECK(file.tensors()[0].name == "second");
    const TensorInfo *first = file.find("first"), *second = file.find("second"), *last = file.find("bytes");
    REQUIRE((first && second && last));
    CHECK(first->type == DType::f32);
    CHECK(first->shape == Shape{2, 3});
    CHECK(first->bytes.size() == 24);
    CHECK(first->bytes[0] == std::byte{'a'});
    CHECK(second->type == DType::q4_k);
    CHECK(second->shape == Shape{2, 256});
    CHECK(second->bytes.size() == 288);
    CHECK(second->bytes[1] == std::byte{'h'});
    CHECK(last->shape == Shape{3, 2, 1, 1});
    CHECK(last->bytes.size() == 6);
    CHECK(file.find("third") == nullptr);
  }
}

TEST_CASE("gguf: every truncation of a file is refused") {
  const std::string file = sample().bytes();
  REQUIRE(parse(file).ok());
  for (std::size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    const Result<Gguf> result = parse(std::string(file, 0, size));
    CHECK_FALSE(result.ok());
    CHECK_FALSE(result.status().message().empty());
  }
}

TEST_CASE("gguf: a flipped bit gives tensors inside the file or a status") {
  const std::string file = sample().bytes();
  for (std::size_t bit = 0; bit < (file.size() - 326) * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const Result<Gguf> result = parse(flipped);
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

TEST_CASE("gguf: other formats, versions and byte orders are told apart") {
  CHECK(mentions(parse("").status().message(), "does not begin with 'GGUF'"));
  CHECK(mentions(parse("GGML").status().message(), "does not begin with 'GGUF'"));
  GgufFile file;
  CHECK(failure(file) == "");
  for (std::uint32_t version : {0, 1, 4}) {
    file.version = version;
    CHECK(mentions(failure(file), "GGUF version " + std::to_string(version)));
  }
  file.version = 0x03000000;
  CHECK(mentions(failure(file), "big-endian"));
}

TEST_CASE("gguf: counts and lengths beyond the file are refused, 2^62 and all ones too") {
  for (int shift : {3, 20, 31, 32, 60, 61, 62, 63}) {
    const std::uint64_t huge = std::uint64_t{1} << shift;
    CAPTURE(shift);
    GgufFile file = sample();
    file.more_tensors = huge;
    CHECK_FALSE(failure(file).empty());
    file = sample();
    file.more_metadata = huge;
    CHECK_FALSE(failure(file).empty());
    if (shift < 20) continue;
    CHECK(mentions(failure(GgufFile().array("bad", GgufType::u64, huge, GgufBytes().u64(0))), "bad: a count of"));
    CHECK(mentions(failure(GgufFile().array("bad", GgufType::u8, huge - 1, GgufBytes().u64(0))), "bad: a count of"));
    CHECK(mentions(failure(GgufFile().array("bad", GgufType::string, huge, GgufBytes().u64(0))), "bad: a count of"));
    CHECK(mentions(failure(GgufFile().value("bad", GgufType::string, GgufBytes().u64(huge))), "bad: "));
    CHECK(mentions(failure(GgufFile().array("bad", GgufType::string, 1, GgufBytes().u64(huge - 1))), "bad: "));
  }
  GgufFile file;
  file.more_tensors = ~std::uint64_t{0};
  CHECK(mentions(failure(file), "number of tensors"));
  file.more_tensors = 0;
  file.more_metadata = ~std::uint64_t{0};
  CHECK(mentions(failure(file), "number of metadata values"));
}

TEST_CASE("gguf: metadata of a wrong form names its key") {
  CHECK(mentions(failure(GgufFile().u32("a", 1).u32("a", 2)), "a is given twice"));
  CHECK(mentions(failure(GgufFile().u32("", 1)), "key 0 is empty"));
  CHECK(mentions(failure(GgufFile().u32(std::string(65536, 'k'), 1)), "metadata key 0: 65536 bytes"));
  CHECK(mentions(failure(GgufFile().u32("a\xff", 1)), "metadata key 0: not valid UTF-8"));
  CHECK(
      mentions(failure(GgufFile().value("bad", static_cast<GgufType>(13), GgufBytes().u64(0))), "bad: value type 13"));
  CHECK(
      mentions(failure(GgufFile().value("bad", GgufType::boolean, GgufBytes().integer(2, 1))), "bad: a bool holds 2"));
  CHECK(mentions(failure(GgufFile().array("bad", GgufType::boolean, 2, GgufBytes().integer(0x0301, 2))), "holds 3"));
  CHECK(mentions(failure(GgufFile().array("bad", GgufType::array, 1, GgufBytes().type(GgufType::u8).u64(1).u64(0))),
                 "bad: an array of arrays"));
}

TEST_CASE("gguf: strings must be UTF-8 without overlong forms and surrogates") {
  for (const char* good : {"", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(failure(GgufFile().string("a", good)) == "");
  for (const char* bad : {"\x80", "\xc1\x80", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe1\x80", "\xe1\x80\x41",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82"}) {
    CHECK(mentions(failure(GgufFile().string("bad", bad)), "bad: not valid UTF-8"));
    CHECK(mentions(failure(GgufFile().array("bad", GgufType::string, 1, GgufBytes().string(bad))), "bad: not valid"));
  }
}

TEST_CASE("gguf: the alignment of the data is a power of two, which offsets must keep") {
  for (std::uint32_t alignment : {1, 2, 8, 64, 4096}) {
    GgufFile file;
    file.alignment = alignment;
    file.u32("general.alignment", alignment).tensor("a", {2}, kI8, 0).tensor("b", {2}, kI8, alignment * 2);
    file.data = std::string(alignment * 2 + 2, 'd');
    CHECK(failure(file) == "");
  }
  for (std::uint32_t alignment : {0, 3, 24})
    CHECK(mentions(failure(GgufFile().u32("general.alignment", alignment)), "general.alignment: u32"));
  CHECK(mentions(failure(GgufFile().string("general.alignment", "32")), "general.alignment: '32'"));
  CHECK(failure(GgufFile().u32("general.alignment", 0x80000000)) == "");  // no tensors, nothing to align
  GgufFile file;
  file.tensor("bad", {2}, kI8, 16).data = std::string(64, 'd');
  CHECK(mentions(failure(file), "bad: begins at byte 16 of the data, want a multiple of 32"));
}

TEST_CASE("gguf: an overlap and a range outside the data name the tensor") {
  GgufFile file;
  file.tensor("a", {33}, kI8, 0).tensor("bad", {1}, kI8, 32).data = std::string(64, 'd');
  CHECK(mentions(failure(file), "bad: begins at byte 32 of the data, inside"));
  for (std::uint64_t offset : {std::uint64_t{32}, std::uint64_t{1} << 60, std::uint64_t{0} - 32}) {
    GgufFile outside;
    outside.tensor("bad", {33}, kI8, offset).data = std::string(64, 'd');
    CHECK(mentions(failure(outside), "bad: 33 bytes at byte " + std::to_string(offset)));
  }
  GgufFile gap;  // allowed: some writers drop a tensor and leave its place
  gap.tensor("a", {1}, kI8, 0).tensor("b", {1}, kI8, 64).data = std::string(65, 'd');
  CHECK(failure(gap) == "");
}

TEST_CASE("gguf: shapes of 2^60 and more are refused, also beside a zero") {
  const std::uint64_t one = 1;
  for (const auto& dims : {std::initializer_list<std::uint64_t>{one << 62, 4},
                           {one << 32, one << 32},
                           {one << 60, one << 60, 0},
                           {0, one << 62, 2},
                           {one << 62},
                           {one << 21, one << 21, one << 21}}) {
    GgufFile file;
    file.tensor("bad", dims, kF32, 0).data = std::string(64, 'd');
    CHECK(mentions(failure(file), "bad: shape"));
  }
  GgufFile large;
  large.tensor("bad", {one << 60}, kF32, 0).data = std::string(64, 'd');
  CHECK(mentions(failure(large), "bad: 4611686018427387904 bytes at byte 0"));
  GgufFile negative;
  negative.tensor("bad", {~std::uint64_t{0}}, kI8, 0).data = std::string(64, 'd');
  CHECK(mentions(failure(negative), "bad: dimension 0 is"));
  GgufFile empty;
  empty.tensor("none", {0, 7}, kF32, 0);
  CHECK(failure(empty) == "");
}

TEST_CASE("gguf: a row that is no whole number of blocks is refused") {
  GgufFile file;
  file.tensor("bad", {128, 2}, kQ4K, 0).data = std::string(256, 'd');
  CHECK(mentions(failure(file), "bad: rows of 128, Q4_K wants a multiple of 256"));
  GgufFile scalar;
  scalar.tensor("bad", {}, kQ4K, 0).data = std::string(256, 'd');
  CHECK(mentions(failure(scalar), "bad: rows of 1, Q4_K"));
}

TEST_CASE("gguf: unknown types and ranks are named with their tensor") {
  for (const auto& [type, name] : std::initializer_list<std::pair<std::uint32_t, const char*>>{
           {4, "4 (Q4_2)"}, {9, "9 (Q8_1)"}, {34, "34 (TQ1_0)"}, {39, "39 (MXFP4)"}, {43, "43"}, {~0u, "4294967295"}}) {
    GgufFile file;
    file.tensor("bad", {256}, type, 0).data = std::string(512, 'd');
    CHECK(mentions(failure(file), std::string("bad: ggml type ") + name + " is not supported"));
  }
  GgufFile file;
  file.tensor("bad", {1, 1, 1, 1, 1}, kI8, 0).data = "d";
  CHECK(mentions(failure(file), "bad: 5 dimensions"));
}

TEST_CASE("gguf: tensor names are short, valid and different") {
  const auto named = [](std::string_view first, std::string_view second) {
    GgufFile file;
    file.tensor(first, {1}, kI8, 0).tensor(second, {1}, kI8, 32).data = std::string(33, 'd');
    return failure(file);
  };
  CHECK(named("a", std::string(64, 'n')) == "");
  CHECK(mentions(named("a", std::string(65, 'n')), "the name of tensor 1: 65 bytes"));
  CHECK(mentions(named("a", ""), "the name of tensor 1 is empty"));
  CHECK(mentions(named("a", "\xc3("), "the name of tensor 1: not valid UTF-8"));
  CHECK(mentions(named("same", "same"), "same: a second tensor"));
}
