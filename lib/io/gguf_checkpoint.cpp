#include "lib/base/format.h"
#include "lib/io/gguf.h"
#include "lib/io/gguf_part_name.h"

namespace ponder::core {
namespace {

Result<std::int64_t> integer_or(const Gguf& gguf, std::string_view key, std::int64_t otherwise) {
  const GgufValue* value = gguf.find_value(key);
  if (!value) return otherwise;
  const std::optional<std::int64_t> integer = value->integer();
  if (!integer || *integer < 0)
    return fail(Code::bad_file, "{}: {}: {}, want an integer of 0 or more", gguf.file().name, key, value->describe());
  return *integer;
}

Result<std::shared_ptr<const Gguf>> open_part(const FileSource& source, std::string_view name, MemoryCharge* memory) {
  PONDER_ASSIGN(FileView file, source.open(name));
  PONDER_ASSIGN(Gguf gguf, Gguf::parse(std::move(file), memory));
  return std::shared_ptr<const Gguf>(std::make_shared<Gguf>(std::move(gguf)));
}

}  // namespace

Result<GgufCheckpoint> GgufCheckpoint::open(const FileSource& source, std::string_view name, MemoryCharge* memory) {
  GgufCheckpoint checkpoint;
  PONDER_ASSIGN(std::shared_ptr<const Gguf> opened, open_part(source, name, memory));
  PONDER_ASSIGN(const std::int64_t n_parts, integer_or(*opened, "split.count", 1));
  if (n_parts <= 1) {
    checkpoint.parts_.push_back(std::move(opened));
  } else {
    const std::optional<GgufPartName> parts = gguf_part_name(name);
    if (!parts || parts->count != n_parts)
      return fail(Code::bad_file,
                  "{}: one of {} parts (split.count), but its name does not end in -00001-of-{:05}.gguf",
                  opened->file().name, n_parts, n_parts);
    for (std::int64_t i = 0; i < n_parts; ++i) {
      const std::string part = formatted("{}-{:05}-of-{:05}.gguf", parts->stem, i + 1, n_parts);
      if (part != name && !source.exists(part))
        return fail(Code::not_found, "{}: {} is missing; {} is one of {} parts", source.describe(), part, name,
                    n_parts);
      std::shared_ptr<const Gguf> file = opened;
      if (part != name) {
        PONDER_ASSIGN(file, open_part(source, part, memory));
      }
      PONDER_ASSIGN(const std::int64_t number, integer_or(*file, "split.no", 0));
      PONDER_ASSIGN(const std::int64_t count, integer_or(*file, "split.count", 1));
      if (number != i || count != n_parts)
        return fail(Code::bad_file, "{}: says that it is part {} of {} (split.no, split.count), its name {} of {}",
                    file->file().name, number + 1, count, i + 1, n_parts);
      checkpoint.parts_.push_back(std::move(file));
    }
  }
  PONDER_TRY(checkpoint.collect_tensors());
  const auto n_tensors = static_cast<std::int64_t>(checkpoint.order_.size());
  PONDER_ASSIGN(const std::int64_t wanted, integer_or(checkpoint.first(), "split.tensors.count", n_tensors));
  if (wanted != n_tensors)
    return fail(Code::bad_file, "{}: {} tensors in all parts, split.tensors.count says {}",
                checkpoint.first().file().name, n_tensors, wanted);
  return checkpoint;
}

Result<GgufCheckpoint> GgufCheckpoint::of(Gguf file) {
  GgufCheckpoint checkpoint;
  checkpoint.parts_.push_back(std::make_shared<Gguf>(std::move(file)));
  PONDER_TRY(checkpoint.collect_tensors());
  return checkpoint;
}

Status GgufCheckpoint::collect_tensors() {
  for (const auto& part : parts_)
    for (const TensorInfo& tensor : part->tensors()) {
      if (!by_name_.emplace(tensor.name, &tensor).second)
        return fail(Code::bad_file, "{}: {}: another part has it too", part->file().name, tensor.name);
      order_.push_back(&tensor);
      total_bytes_ += tensor.bytes.size();
    }
  return {};
}

const TensorInfo* GgufCheckpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

}  // namespace ponder::core
