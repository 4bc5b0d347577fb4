// A GGUF model in memory whose metadata and tensors a test may change.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/gguf.h"
#include "tests/lib/io/gguf_file.h"

namespace ponder::test {

// ggml.h's enum ggml_type; the types that tests write.
inline std::uint32_t ggml_type(core::DType type) {
  switch (type) {
    case core::DType::f32: return 0;
    case core::DType::f16: return 1;
    case core::DType::q5_0: return 6;
    case core::DType::q8_0: return 8;
    case core::DType::q4_k: return 12;
    case core::DType::q5_k: return 13;
    case core::DType::q6_k: return 14;
    case core::DType::i8: return 24;
    case core::DType::bf16: return 30;
    default: REQUIRE_MESSAGE(false, core::dtype_name(type)); return 0;
  }
}

struct EditableGguf {
  struct Value {
    core::GgufType type;
    bool is_array = false;
    std::uint64_t count = 1;
    std::string bytes;
  };
  struct Tensor {
    core::DType type;
    std::vector<std::uint64_t> shape;  // row-major: the contiguous dimension last
    std::string bytes;
  };
  std::map<std::string, Value> metadata;
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::uint64_t> offset;  // of the data: set by build(), in the order of `tensors`
  std::uint64_t data_begin = 0;

  EditableGguf() = default;
  explicit EditableGguf(const std::string& fixture) {
    const auto source = core::folder_source(PONDER_TEST_DATA "/gguf");
    const auto checkpoint = core::GgufCheckpoint::open(*source, fixture);
    REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
    for (const auto& [key, value] : checkpoint->first().metadata())
      metadata[std::string(key)] = {value.type(), value.is_array(), value.count(), text(value.bytes())};
    for (const core::TensorInfo* info : checkpoint->tensors()) {
      Tensor& tensor = tensors[info->name] = {info->type, {}, text(info->bytes)};
      for (std::size_t i = 0; i < info->shape.n_dims(); ++i)
        tensor.shape.push_back(static_cast<std::uint64_t>(info->shape[i]));
    }
  }
  void set(const std::string& key, std::uint32_t number) {
    metadata[key] = {core::GgufType::u32, false, 1, GgufBytes().u32(number).text};
  }
  void set(const std::string& key, float number) {
    metadata[key] = {core::GgufType::f32, false, 1, GgufBytes().u32(std::bit_cast<std::uint32_t>(number)).text};
  }
  void set(const std::string& key, std::string_view words) {
    metadata[key] = {core::GgufType::string, false, 1, GgufBytes().string(words).text};
  }
  void set_flag(const std::string& key, bool flag) {
    metadata[key] = {core::GgufType::boolean, false, 1, std::string(1, flag ? '\1' : '\0')};
  }
  void set(const std::string& key, const std::vector<std::string>& words) {
    GgufBytes bytes;
    for (const std::string& word : words) bytes.string(word);
    metadata[key] = {core::GgufType::string, true, words.size(), bytes.text};
  }
  void set(const std::string& key, const std::vector<std::int32_t>& numbers) {
    GgufBytes bytes;
    for (const std::int32_t number : numbers) bytes.u32(static_cast<std::uint32_t>(number));
    metadata[key] = {core::GgufType::i32, true, numbers.size(), bytes.text};
  }

  std::string build() {
    GgufBytes file;
    file.text = "GGUF";
    file.u32(3).u64(tensors.size()).u64(metadata.size());
    for (const auto& [key, value] : metadata) {
      file.string(key);
      if (value.is_array) file.type(core::GgufType::array).type(value.type).u64(value.count);
      else file.type(value.type);
      file.text += value.bytes;
    }
    std::string data;
    for (const auto& [name, tensor] : tensors) {
      data.append((32 - data.size() % 32) % 32, '\0');
      file.string(name).u32(tensor.shape.size());
      for (std::size_t i = tensor.shape.size(); i > 0; --i) file.u64(tensor.shape[i - 1]);
      file.u32(ggml_type(tensor.type)).u64(data.size());
      offset[name] = data.size();
      data += tensor.bytes;
    }
    file.text.append((32 - file.text.size() % 32) % 32, '\0');
    data_begin = file.text.size();
    return file.text + data;
  }

  static std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

// `file` must outlive what is read from it.
inline std::shared_ptr<const core::FileSource> gguf_source(const std::string& file) {
  return core::memory_source({{"model.gguf", std::as_bytes(std::span(file))}});
}

}  // namespace ponder::test
