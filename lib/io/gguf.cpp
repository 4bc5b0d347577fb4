#include "lib/io/gguf.h"

#include <algorithm>
#include <limits>

#include "lib/base/format.h"
#include "lib/io/gguf_bytes.h"

namespace ponder::core {
namespace {

// The smallest entries: length and one byte of key, type, one byte of value; length and name, rank, type, offset.
constexpr std::uint64_t kMinMetadataBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;
// What each takes in memory: in lists, which are there twice while they grow, of which one is half empty, and a hash table.
constexpr std::size_t kMetadataCost = 3 * sizeof(Gguf::Entry) + 64;
constexpr std::size_t kTensorCost = 3 * (sizeof(TensorInfo) + 8) + 3 * 64;

// ggml.h's enum ggml_type: what we read, and the names of what we do not.
constexpr std::pair<std::uint32_t, DType> kTypes[] = {
    {0, DType::f32},      {1, DType::f16},     {2, DType::q4_0},    {3, DType::q4_1},     {6, DType::q5_0},
    {7, DType::q5_1},     {8, DType::q8_0},    {10, DType::q2_k},   {11, DType::q3_k},    {12, DType::q4_k},
    {13, DType::q5_k},    {14, DType::q6_k},   {16, DType::iq2_xxs}, {17, DType::iq2_xs}, {18, DType::iq3_xxs},
    {19, DType::iq1_s},   {20, DType::iq4_nl}, {21, DType::iq3_s},  {22, DType::iq2_s},   {23, DType::iq4_xs},
    {24, DType::i8},      {25, DType::i16},    {26, DType::i32},    {27, DType::i64},     {28, DType::f64},
    {29, DType::iq1_m},   {30, DType::bf16},
};
constexpr std::pair<std::uint32_t, std::string_view> kOtherTypes[] = {
    {4, "Q4_2"},      {5, "Q4_3"},      {9, "Q8_1"},         {15, "Q8_K"},        {31, "Q4_0_4_4"},
    {32, "Q4_0_4_8"}, {33, "Q4_0_8_8"}, {34, "TQ1_0"},       {35, "TQ2_0"},       {36, "IQ4_NL_4_4"},
    {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {39, "MXFP4"},   {40, "NVFP4"},
};

std::string name_of_type(std::uint64_t number) {
  for (const auto& [known, name] : kOtherTypes)
    if (known == number) return formatted("{} ({})", number, name);
  return std::to_string(number);
}

// Walks the file; what it gives lies inside.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  std::optional<std::uint64_t> number(std::size_t size) {
    if (size > left()) return std::nullopt;
    at_ += size;
    return gguf_read(bytes_.subspan(at_ - size), size);
  }
  std::optional<std::span<const std::byte>> take(std::uint64_t size) {
    if (size > left()) return std::nullopt;
    at_ += static_cast<std::size_t>(size);
    return bytes_.subspan(at_ - static_cast<std::size_t>(size), static_cast<std::size_t>(size));
  }
  std::span<const std::byte> since(std::size_t begin) const { return bytes_.subspan(begin, at_ - begin); }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

// The header up to the data. `what` of every message is the file.
class Reader {
 public:
  explicit Reader(const FileView& file)
      : file_(file), what_(file.name), cursor_(file.bytes), file_bytes_(file.bytes.size()) {}

  std::size_t at() const { return cursor_.at(); }

  Result<std::uint64_t> number(std::size_t size, std::string_view of) {
    PONDER_TRY(ensure(size));
    if (const auto value = cursor_.number(size)) return *value;
    return ends_in(of);
  }

  Result<std::string_view> string(std::string_view of, std::uint64_t max_bytes) {
    PONDER_ASSIGN(const std::uint64_t size, number(kGgufLengthBytes, of));
    if (size > max_bytes)
      return fail(Code::bad_file, "{}: {}: {} bytes, at most {} are allowed", what_, of, size, max_bytes);
    PONDER_TRY(ensure(size));
    const auto bytes = cursor_.take(size);
    if (!bytes) return fail(Code::bad_file, "{}: {}: {} bytes, the file has {} left", what_, of, size, cursor_.left());
    const std::string_view text = gguf_text(*bytes);
    if (!is_utf8(text)) return fail(Code::bad_file, "{}: {}: not valid UTF-8", what_, of);
    return text;
  }

  Result<std::uint64_t> count(std::string_view of, std::uint64_t min_bytes_each) {
    PONDER_ASSIGN(const std::uint64_t count, number(8, of));
    return fits(count, of, min_bytes_each);
  }

  Result<GgufValue> value(std::string_view key) {
    PONDER_ASSIGN(GgufType type, value_type(key));
    const bool is_array = type == GgufType::array;
    std::uint64_t count = 1;
    if (is_array) {
      PONDER_ASSIGN(type, value_type(key));
      if (type == GgufType::array)
        return fail(Code::unsupported, "{}: {}: an array of arrays, which is not supported", what_, key);
      PONDER_ASSIGN(count, number(8, key));
      PONDER_TRY(fits(count, key, type == GgufType::string ? kGgufLengthBytes : gguf_fixed_bytes(type)).status());
    }
    const std::size_t begin = cursor_.at();
    if (type == GgufType::string) {
      for (std::uint64_t i = 0; i < count; ++i) {
        const Result<std::string_view> text = string(key, std::numeric_limits<std::uint64_t>::max());
        if (!text.ok()) return text.status();
      }
    } else {
      PONDER_TRY(ensure(count * gguf_fixed_bytes(type)));  // no overflow: `count` fits the file
      const auto bytes = cursor_.take(count * gguf_fixed_bytes(type));
      if (!bytes) return ends_in(key);
      if (type == GgufType::boolean)
        for (const std::byte flag : *bytes)
          if (flag > std::byte{1})
            return fail(Code::bad_file, "{}: {}: a bool holds {}, want 0 or 1", what_, key, static_cast<int>(flag));
    }
    return GgufValue(type, is_array, count, cursor_.since(begin));
  }

  // All but `bytes`; the offset of the data in the data section goes to `offset`.
  Result<TensorInfo> tensor(std::uint64_t index, std::uint64_t& offset) {
    TensorInfo info;
    PONDER_ASSIGN(info.name, string(formatted("the name of tensor {}", index), kGgufMaxNameBytes));
    if (info.name.empty()) return fail(Code::bad_file, "{}: the name of tensor {} is empty", what_, index);
    PONDER_ASSIGN(const std::uint64_t n_dims, number(4, info.name));
    if (n_dims > Shape::kMaxDims)
      return fail(Code::unsupported, "{}: {}: {} dimensions, at most {} are supported", what_, info.name, n_dims,
                  Shape::kMaxDims);
    std::uint64_t dims[Shape::kMaxDims];  // the contiguous one first
    for (std::uint64_t i = 0; i < n_dims; ++i) {
      PONDER_ASSIGN(dims[i], number(8, info.name));
      if (dims[i] > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return fail(Code::bad_file, "{}: {}: dimension {} is {}", what_, info.name, i, dims[i]);
    }
    for (std::uint64_t i = n_dims; i > 0; --i) info.shape.push_back(static_cast<std::int64_t>(dims[i - 1]));
    PONDER_ASSIGN(const std::uint64_t number_of_type, number(4, info.name));
    const std::optional<DType> type = gguf_type_of(number_of_type);
    if (!type)
      return fail(Code::unsupported, "{}: {}: ggml type {} is not supported", what_, info.name,
                  name_of_type(number_of_type));
    info.type = *type;
    const std::uint64_t row = n_dims == 0 ? 1 : dims[0];
    if (row % block_elements(info.type) != 0)
      return fail(Code::bad_file, "{}: {}: rows of {}, {} wants a multiple of {}", what_, info.name, row,
                  dtype_name(info.type), block_elements(info.type));
    PONDER_ASSIGN(offset, number(8, info.name));
    return info;
  }

 private:
  // The next n bytes are there, as far as the file has them.
  Status ensure(std::uint64_t n) const {
    return file_.ensure(cursor_.at(), static_cast<std::size_t>(std::min<std::uint64_t>(n, cursor_.left())));
  }
  Status ends_in(std::string_view of) const {
    return fail(Code::bad_file, "{}: ends at byte {}, inside {}", what_, file_bytes_, of);
  }
  Result<std::uint64_t> fits(std::uint64_t count, std::string_view of, std::uint64_t min_bytes_each) const {
    if (count > cursor_.left() / min_bytes_each)
      return fail(Code::bad_file, "{}: {}: a count of {}, the file has {} bytes left", what_, of, count,
                  cursor_.left());
    return count;
  }
  Result<GgufType> value_type(std::string_view key) {
    PONDER_ASSIGN(const std::uint64_t type, number(4, key));
    if (type > static_cast<std::uint64_t>(GgufType::f64))
      return fail(Code::bad_file, "{}: {}: value type {} is unknown", what_, key, type);
    return static_cast<GgufType>(type);
  }

  const FileView& file_;
  const std::string& what_;
  Cursor cursor_;
  std::size_t file_bytes_;
};

// Bytes of a tensor, or nothing when they, or any partial product of the dimensions, exceed int64. A zero counts as one
// in that check, so that Shape::n_elements() cannot overflow either.
std::optional<std::uint64_t> tensor_bytes(const TensorInfo& info) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::uint64_t elements = 1;
  bool empty = false;
  for (std::size_t i = 0; i < info.shape.n_dims(); ++i) {
    const auto dim = static_cast<std::uint64_t>(info.shape[i]);
    empty |= dim == 0;
    if (dim > 1 && elements > kMax / dim) return std::nullopt;
    elements *= std::max<std::uint64_t>(dim, 1);
  }
  if (empty) return 0;
  const std::uint64_t blocks = elements / block_elements(info.type);
  if (blocks > kMax / block_bytes(info.type)) return std::nullopt;
  return blocks * block_bytes(info.type);
}

Result<std::uint64_t> alignment_of(const Gguf& gguf, const std::string& what) {
  const GgufValue* value = gguf.find_value("general.alignment");
  if (!value) return kGgufAlignment;
  const std::int64_t alignment = value->integer().value_or(0);
  if (alignment <= 0 || (alignment & (alignment - 1)) != 0)
    return fail(Code::bad_file, "{}: general.alignment: {}, want a power of two", what, value->describe());
  return static_cast<std::uint64_t>(alignment);
}

}  // namespace

std::optional<DType> gguf_type_of(std::uint64_t number) {
  for (const auto& [known, type] : kTypes)
    if (known == number) return type;
  return std::nullopt;
}
std::optional<std::uint32_t> gguf_number_of(DType type) {
  for (const auto& [number, known] : kTypes)
    if (known == type) return number;
  return std::nullopt;
}

bool is_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = byte(i), second = byte(i + 1);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size > 1 && (lead < 0xc2 || lead > 0xf4)) return false;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f))
      return false;
    for (std::size_t k = 1; k < size; ++k)
      if (byte(i + k) >> 6 != 2) return false;
    i += size;
  }
  return true;
}

Result<Gguf> Gguf::parse(FileView file, MemoryCharge* memory) {
  const std::string& what = file.name;
  PONDER_TRY(file.ensure(0, std::min(kGgufMagic.size(), file.bytes.size())));
  if (!file.text().starts_with(kGgufMagic))
    return fail(Code::bad_file, "{}: no GGUF file: it does not begin with '{}'", what, kGgufMagic);
  Reader reader(file);
  PONDER_TRY(reader.number(kGgufMagic.size(), "the magic").status());
  Gguf result;
  PONDER_ASSIGN(const std::uint64_t version, reader.number(4, "the version"));
  if (version != 0 && version % 65536 == 0)
    return fail(Code::unsupported, "{}: a big-endian GGUF file, want little-endian", what);
  if (version != 2 && version != 3)
    return fail(Code::unsupported, "{}: GGUF version {}, want 2 or 3", what, version);
  result.version_ = static_cast<std::uint32_t>(version);
  PONDER_ASSIGN(const std::uint64_t n_tensors, reader.count("the number of tensors", kMinTensorBytes));
  PONDER_ASSIGN(const std::uint64_t n_metadata, reader.count("the number of metadata values", kMinMetadataBytes));

  // No reserve: a count is only worth memory once its entries have been seen.
  for (std::uint64_t i = 0; i < n_metadata; ++i) {
    if (memory) PONDER_TRY(memory->add(kMetadataCost).with_prefix(what));
    PONDER_ASSIGN(const std::string_view key, reader.string(formatted("metadata key {}", i), kGgufMaxKeyBytes));
    if (key.empty()) return fail(Code::bad_file, "{}: metadata key {} is empty", what, i);
    if (!result.by_key_.emplace(key, result.metadata_.size()).second)
      return fail(Code::bad_file, "{}: metadata {} is given twice", what, key);
    PONDER_ASSIGN(const GgufValue value, reader.value(key));
    result.metadata_.push_back({key, value});
  }
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t i = 0; i < n_tensors; ++i) {
    std::uint64_t offset = 0;
    PONDER_ASSIGN(TensorInfo info, reader.tensor(i, offset));
    if (memory) PONDER_TRY(memory->add(kTensorCost + info.name.capacity()).with_prefix(what));
    result.tensors_.push_back(std::move(info));
    offsets.push_back(offset);
  }

  PONDER_ASSIGN(const std::uint64_t alignment, alignment_of(result, what));
  const std::uint64_t padding = (alignment - reader.at() % alignment) % alignment;
  const std::size_t rest = file.bytes.size() - reader.at();
  const std::span<const std::byte> data =
      padding >= rest ? std::span<const std::byte>() : file.bytes.last(rest - static_cast<std::size_t>(padding));
  std::vector<std::size_t> order(result.tensors_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return offsets[a] < offsets[b]; });
  std::uint64_t end_of_last = 0;
  for (const std::size_t i : order) {
    TensorInfo& info = result.tensors_[i];
    const std::uint64_t begin = offsets[i];
    const std::optional<std::uint64_t> size = tensor_bytes(info);
    if (!size) return fail(Code::bad_file, "{}: {}: shape {} is too large", what, info.name, info.shape.to_string());
    if (begin % alignment != 0)
      return fail(Code::bad_file, "{}: {}: begins at byte {} of the data, want a multiple of {}", what, info.name,
                  begin, alignment);
    if (begin > data.size() || *size > data.size() - begin)
      return fail(Code::bad_file, "{}: {}: {} bytes at byte {} of {} bytes of data", what, info.name, *size, begin,
                  data.size());
    if (*size > 0 && begin < end_of_last)
      return fail(Code::bad_file, "{}: {}: begins at byte {} of the data, inside the tensor that ends at {}", what,
                  info.name, begin, end_of_last);
    end_of_last = std::max(end_of_last, begin + *size);
    info.bytes = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(*size));
  }
  PONDER_TRY(result.index_tensors(what));
  result.file_ = std::move(file);
  return result;
}

Result<Gguf> Gguf::parse_metadata(FileView file, std::vector<TensorInfo> tensors) {
  PONDER_ASSIGN(Gguf result, parse(std::move(file)));
  result.tensors_ = std::move(tensors);
  result.by_name_.clear();
  PONDER_TRY(result.index_tensors(result.file_.name));
  return result;
}

Status Gguf::index_tensors(const std::string& what) {
  for (std::size_t i = 0; i < tensors_.size(); ++i)
    if (!by_name_.emplace(tensors_[i].name, i).second)
      return fail(Code::bad_file, "{}: {}: a second tensor of that name", what, tensors_[i].name);
  return {};
}

const GgufValue* Gguf::find_value(std::string_view key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &metadata_[found->second].value;
}

const TensorInfo* Gguf::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace ponder::core
