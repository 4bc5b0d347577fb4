#include "lib/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <tuple>
#include <unordered_set>

#include "lib/base/format.h"
#include "lib/io/json.h"

namespace ponder::core {
namespace {

constexpr std::size_t kLengthBytes = 8;                // the u64 in front of the header
constexpr std::size_t kMaxHeaderBytes = 100'000'000;   // the limit of the format's own reader
constexpr std::size_t kMaxHeaderDepth = 16;            // 3 by the format; __metadata__ of some writers goes deeper
constexpr std::string_view kMetadata = "__metadata__";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::size_t kMaxMissing = 2048;              // bytes of names of missing shards in a message
constexpr std::size_t kNodeBytes = 64;                 // of an entry in a hash table, its bucket included

std::optional<DType> dtype_by_name(std::string_view name) {
  for (DType type : {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f64, DType::i8, DType::u8, DType::i16,
                     DType::i32, DType::i64, DType::boolean})
    if (dtype_name(type) == name) return type;
  return std::nullopt;
}

// Bytes of a tensor, or nothing when they, or any partial product of the dimensions, exceed int64. A zero counts as one
// in that check, so that Shape::n_elements() cannot overflow either.
std::optional<std::uint64_t> tensor_bytes(const Shape& shape, DType type) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::uint64_t checked = element_bytes(type);
  bool empty = false;
  for (std::size_t i = 0; i < shape.n_dims(); ++i) {
    if (shape[i] < 0) return std::nullopt;
    const auto dim = static_cast<std::uint64_t>(shape[i]);
    empty |= dim == 0;
    if (dim > 1 && checked > kMax / dim) return std::nullopt;
    checked *= std::max<std::uint64_t>(dim, 1);
  }
  return empty ? 0 : checked;
}

struct Entry {
  std::string name;
  std::optional<DType> type;
  std::optional<Shape> shape;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> offsets;
  std::string unusable;  // why, if it is

  bool has_type() const { return type || !unusable.empty(); }
};

// Reads the header: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}.
class HeaderReader final : public JsonEvents {
 public:
  explicit HeaderReader(MemoryCharge* memory) : memory_(memory) {}
  std::vector<Entry> take() { return std::move(entries_); }
  std::string error() const override { return error_; }
  Status stopped() const override { return stopped_; }

  bool null() override { return skipped() || unexpected("null"); }
  bool boolean(bool) override { return skipped() || unexpected("a boolean"); }
  bool number(double) override { return skipped() || unexpected("a number that is no 64-bit integer"); }
  bool integer(std::int64_t value) override {
    if (skipped()) return true;
    if (place_ != Place::list) return unexpected("a number");
    if (value < 0) return stop(formatted("{}: {} holds {}, want 0 or more", name(), field_, value));
    if (field_ == "shape" && numbers_.size() == Shape::kMaxDims) {
      entries_.back().unusable = formatted("more than {} dimensions are not supported", Shape::kMaxDims);
      return true;
    }
    numbers_.push_back(value);
    if (field_ == "data_offsets" && numbers_.size() > 2) return stop(name() + ": data_offsets wants 2 numbers");
    return true;
  }
  bool string(std::string& value) override {
    if (skipped()) return true;
    if (place_ != Place::tensor || field_ != "dtype") return unexpected("a string");
    entries_.back().type = dtype_by_name(value);
    if (!entries_.back().type)
      entries_.back().unusable = formatted("dtype {} is not supported", value.substr(0, 40));
    return true;
  }
  bool start_object() override {
    if (skip_ > 0 || pending_skip_) return skip_in();
    if (place_ == Place::outside) {
      place_ = Place::header;
      return true;
    }
    if (place_ != Place::header) return unexpected("an object");
    place_ = Place::tensor;
    return true;
  }
  bool key(std::string& key) override {
    if (skip_ > 0) return true;
    if (place_ == Place::header) {
      field_.clear();
      // Lists that grow are there twice, of which one is half empty; the entry is sorted, then becomes a TensorInfo.
      if (memory_) stopped_ = memory_->add(2 * key.size() + 4 * sizeof(Entry) + 2 * (kNodeBytes + sizeof(std::string)));
      if (!stopped_.ok()) return false;
      if (!names_.insert(key).second) return stop(key + ": named twice");
      if (key == kMetadata) {
        pending_skip_ = true;
        return true;
      }
      entries_.push_back({std::move(key), {}, {}, {}, {}});
      return true;
    }
    field_ = std::move(key);
    const Entry& entry = entries_.back();
    if ((field_ == "dtype" && entry.has_type()) || (field_ == "shape" && entry.shape) ||
        (field_ == "data_offsets" && entry.offsets))
      return stop(formatted("{}: {} given twice", name(), field_));
    pending_skip_ = field_ != "dtype" && field_ != "shape" && field_ != "data_offsets";
    return true;
  }
  bool end_object() override {
    if (skip_ > 0) return skip_out();
    if (place_ == Place::header) {
      place_ = Place::outside;
      return true;
    }
    place_ = Place::header;
    const Entry& entry = entries_.back();
    if (!entry.has_type()) return stop(name() + ": no dtype");
    if (!entry.shape) return stop(name() + ": no shape");
    if (!entry.offsets) return stop(name() + ": no data_offsets");
    return true;
  }
  bool start_array() override {
    if (skip_ > 0 || pending_skip_) return skip_in();
    if (place_ != Place::tensor || field_ == "dtype") return unexpected("an array");
    place_ = Place::list;
    numbers_.clear();
    return true;
  }
  bool end_array() override {
    if (skip_ > 0) return skip_out();
    place_ = Place::tensor;
    Entry& entry = entries_.back();
    if (field_ == "shape") {
      entry.shape.emplace();
      for (std::int64_t dim : numbers_) entry.shape->push_back(dim);
    } else {
      if (numbers_.size() != 2) return stop(name() + ": data_offsets wants 2 numbers");
      entry.offsets = {static_cast<std::uint64_t>(numbers_[0]), static_cast<std::uint64_t>(numbers_[1])};
    }
    return true;
  }

 private:
  enum class Place { outside, header, tensor, list };

  const std::string& name() const { return entries_.back().name; }
  bool stop(std::string text) {
    error_ = std::move(text);
    return false;
  }
  bool unexpected(std::string_view found) {
    if (place_ == Place::outside || entries_.empty()) return stop(formatted("{}, want an object", found));
    if (field_.empty()) return stop(formatted("{}: {}, want an object", name(), found));
    return stop(formatted("{}: {} holds {}", name(), field_, found));
  }
  // A value inside __metadata__ or of a field that we do not know.
  bool skipped() {
    if (skip_ > 0) return true;
    return std::exchange(pending_skip_, false);
  }
  bool skip_in() {
    pending_skip_ = false;
    ++skip_;
    return true;
  }
  bool skip_out() {
    --skip_;
    return true;
  }

  MemoryCharge* memory_;
  Status stopped_;
  std::vector<Entry> entries_;
  std::unordered_set<std::string> names_;
  std::vector<std::int64_t> numbers_;
  std::string field_;
  std::string error_;
  Place place_ = Place::outside;
  std::size_t skip_ = 0;
  bool pending_skip_ = false;
};

std::uint64_t read_u64_le(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

}  // namespace

Result<Safetensors> Safetensors::parse(FileView file, MemoryCharge* memory) {
  const std::string& what = file.name;
  if (file.bytes.size() < kLengthBytes)
    return fail(Code::bad_file, "{}: {} bytes, a safetensors file has at least {}", what, file.bytes.size(),
                kLengthBytes);
  PONDER_TRY(file.ensure(0, kLengthBytes));
  const std::uint64_t header_bytes = read_u64_le(file.bytes);
  if (header_bytes > kMaxHeaderBytes)
    return fail(Code::bad_file, "{}: header of {} bytes, at most {} are read", what, header_bytes, kMaxHeaderBytes);
  if (header_bytes > file.bytes.size() - kLengthBytes)
    return fail(Code::bad_file, "{}: header of {} bytes in a file of {}", what, header_bytes, file.bytes.size());
  PONDER_TRY(file.ensure(kLengthBytes, static_cast<std::size_t>(header_bytes)));
  const std::string_view header = file.text().substr(kLengthBytes, static_cast<std::size_t>(header_bytes));
  const std::span<const std::byte> data = file.bytes.subspan(kLengthBytes + static_cast<std::size_t>(header_bytes));
  if (!header.starts_with('{')) return fail(Code::bad_file, "{}: the header does not begin with '{{'", what);

  const std::uint64_t before = memory ? memory->n_bytes() : 0;
  HeaderReader reader(memory);
  PONDER_TRY(parse_json_events(header, what, reader, {kMaxHeaderBytes, kMaxHeaderDepth}));
  std::vector<Entry> entries = reader.take();
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });

  Safetensors result;
  result.tensors_.reserve(entries.size());
  std::uint64_t end_of_last = 0;
  for (Entry& entry : entries) {
    const auto [begin, end] = *entry.offsets;
    if (begin > end || end > data.size())
      return fail(Code::bad_file, "{}: {}: data_offsets [{}, {}] in {} bytes of data", what, entry.name, begin, end,
                  data.size());
    if (entry.unusable.empty()) {
      const std::optional<std::uint64_t> size_bytes = tensor_bytes(*entry.shape, *entry.type);
      if (!size_bytes)
        return fail(Code::bad_file, "{}: {}: shape {} is too large", what, entry.name, entry.shape->to_string());
      if (*size_bytes != end - begin)
        return fail(Code::bad_file, "{}: {}: {} bytes of data, {} {} wants {}", what, entry.name, end - begin,
                    dtype_name(*entry.type), entry.shape->to_string(), *size_bytes);
    }
    if (begin < end_of_last)
      return fail(Code::bad_file, "{}: {}: begins at byte {}, inside the tensor that ends at {}", what, entry.name,
                  begin, end_of_last);
    if (begin > end_of_last)
      return fail(Code::bad_file, "{}: {}: begins at byte {}, the tensor before it ends at {}", what, entry.name, begin,
                  end_of_last);
    end_of_last = end;
    if (!entry.unusable.empty()) {
      result.unusable_.push_back({std::move(entry.name), std::move(entry.unusable)});
      continue;
    }
    result.tensors_.push_back({std::move(entry.name), *entry.type, *entry.shape,
                               data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin))});
  }
  if (end_of_last != data.size())
    return fail(Code::bad_file, "{}: the tensors end at byte {} of {} bytes of data", what, end_of_last, data.size());
  result.by_name_.reserve(result.tensors_.size());
  for (std::size_t i = 0; i < result.tensors_.size(); ++i) result.by_name_.emplace(result.tensors_[i].name, i);
  result.file_ = std::move(file);
  if (memory) {
    std::uint64_t n_bytes = 0;
    for (const TensorInfo& tensor : result.tensors_) n_bytes += sizeof tensor + tensor.name.capacity() + 2 * kNodeBytes;
    memory->lower_to(before + n_bytes);
  }
  return result;
}

const TensorInfo* Safetensors::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

bool Checkpoint::exists(const FileSource& source) { return source.exists(kIndexFile) || source.exists(kSingleFile); }

Result<Checkpoint> Checkpoint::open(const FileSource& source, MemoryCharge* memory) {
  Checkpoint checkpoint;
  const auto add = [&](const TensorInfo& tensor) {
    checkpoint.by_name_.emplace(tensor.name, &tensor);
    checkpoint.order_.push_back(&tensor);
    checkpoint.total_bytes_ += tensor.bytes.size();
  };
  const auto open_shard = [&](std::string_view name) -> Result<std::shared_ptr<const Safetensors>> {
    PONDER_ASSIGN(FileView file, source.open(name));
    PONDER_ASSIGN(Safetensors shard, Safetensors::parse(std::move(file), memory));
    return std::shared_ptr<const Safetensors>(std::make_shared<Safetensors>(std::move(shard)));
  };

  if (!source.exists(kIndexFile)) {
    if (!source.exists(kSingleFile))
      return fail(Code::not_found, "{}: neither {} nor {}", source.describe(), kSingleFile, kIndexFile);
    PONDER_ASSIGN(auto shard, open_shard(kSingleFile));
    checkpoint.shards_.push_back(shard);
    for (const TensorInfo& tensor : shard->tensors()) add(tensor);
    checkpoint.unusable_ = shard->unusable();
    return checkpoint;
  }

  PONDER_ASSIGN(const FileView index_file, source.open(kIndexFile));
  PONDER_ASSIGN(const Json index, parse_json(index_file.text(), index_file.name, {.memory = memory}));
  const Json* weight_map = index.find("weight_map");
  if (!weight_map || !weight_map->is_object() || weight_map->as_object().empty())
    return fail(Code::bad_file, "{}: no weight_map", index_file.name);

  struct Shard {
    std::shared_ptr<const Safetensors> file;
    std::unordered_set<std::string_view> wanted;
  };
  std::unordered_map<std::string_view, std::size_t> shard_by_name;
  std::vector<Shard> shards;  // in the order in which weight_map names them first
  std::string missing;
  for (const auto& [tensor, shard_name] : weight_map->as_object()) {
    if (!shard_name.is_string())
      return fail(Code::bad_file, "{}: weight_map: {}: {}, want a string", index_file.name, tensor,
                  shard_name.type_name());
    const std::string& name = shard_name.as_string();
    const auto [known, added] = shard_by_name.try_emplace(name, shards.size());
    if (added) {
      if (!check_file_name(name).ok())
        return fail(Code::bad_file, "{}: weight_map: {}: shard '{}' is not inside the checkpoint", index_file.name,
                    tensor, name);
      shards.emplace_back();
      if (source.exists(name)) {
        PONDER_ASSIGN(shards.back().file, open_shard(name));
      } else if (missing.size() < kMaxMissing) {
        missing += formatted("{}{} (wanted for {})", missing.empty() ? "" : ", ", name, tensor);
      }
    }
    if (memory) PONDER_TRY(memory->add(2 * kNodeBytes));
    shards[known->second].wanted.insert(tensor);
  }
  if (!missing.empty())
    return fail(Code::not_found, "{}: shards that {} names are missing: {}", source.describe(), kIndexFile, missing);
  for (Shard& shard : shards) {
    checkpoint.shards_.push_back(shard.file);
    for (const TensorInfo& tensor : shard.file->tensors())
      if (shard.wanted.erase(tensor.name) > 0) add(tensor);
    for (const UnusableTensor& tensor : shard.file->unusable())
      if (shard.wanted.erase(tensor.name) > 0) checkpoint.unusable_.push_back(tensor);
    for (const std::string_view name : shard.wanted)
      checkpoint.unusable_.push_back(
          {std::string(name), formatted("missing from {}, where {} places it", shard.file->file().name, kIndexFile)});
  }
  return checkpoint;
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

Result<std::string> serialize_safetensors(std::span<const TensorToWrite> tensors) {
  constexpr std::size_t kAlignment = 8;  // of the data, by spaces after the header
  Json header{Json::Object()};
  std::unordered_set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    if (tensor.name == kMetadata || !names.insert(tensor.name).second)
      return fail(Code::invalid_argument, "{}: the name is taken", tensor.name);
    const std::optional<std::uint64_t> size_bytes = tensor_bytes(tensor.shape, tensor.type);
    if (!size_bytes || *size_bytes != tensor.bytes.size())
      return fail(Code::invalid_argument, "{}: {} bytes for {} {}", tensor.name, tensor.bytes.size(),
                  dtype_name(tensor.type), tensor.shape.to_string());
    Json::Array shape;
    for (std::size_t i = 0; i < tensor.shape.n_dims(); ++i) shape.emplace_back(tensor.shape[i]);
    Json::Array offsets{Json(static_cast<std::int64_t>(offset)), Json(static_cast<std::int64_t>(offset + *size_bytes))};
    Json entry{Json::Object()};
    entry.set("dtype", dtype_name(tensor.type));
    entry.set("shape", std::move(shape));
    entry.set("data_offsets", std::move(offsets));
    header.as_object().emplace_back(tensor.name, std::move(entry));
    offset += *size_bytes;
  }
  std::string text = dump_json(header);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  if (text.size() > kMaxHeaderBytes)
    return fail(Code::invalid_argument, "header of {} bytes, at most {} are read back", text.size(), kMaxHeaderBytes);
  std::string out;
  out.reserve(kLengthBytes + text.size() + static_cast<std::size_t>(offset));
  for (std::size_t i = 0; i < kLengthBytes; ++i) out += static_cast<char>((std::uint64_t{text.size()} >> (8 * i)) & 0xff);
  out += text;
  for (const TensorToWrite& tensor : tensors)
    out.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  return out;
}

}  // namespace ponder::core
