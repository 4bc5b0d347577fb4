// A fixture's checkpoint in memory whose config, tensors and files a test may change.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/io/json.h"
#include "lib/io/safetensors.h"
#include "lib/model/model.h"

namespace ponder::test {

using Files = std::map<std::string, std::string>;

inline std::shared_ptr<const core::FileSource> source_of(const Files& files) {
  std::vector<core::MemoryFile> memory;
  for (const auto& [name, text] : files) memory.push_back({name, std::as_bytes(std::span(text))});
  return core::memory_source(std::move(memory));
}
// `files` must outlive the model where its matrices are read.
inline core::Result<std::shared_ptr<const core::Model>> load_files(const Files& files,
                                                                   const core::LoadOptions& options = {}) {
  return core::Model::load(source_of(files), options);
}

inline bool names(const core::Status& status, std::string_view text) {
  return status.message().find(text) != std::string::npos;
}

struct Editable {
  struct Entry {
    core::DType type;
    core::Shape shape;
    std::string bytes;
  };
  core::Json config;
  std::map<std::string, Entry> tensors;
  std::string config_text, weights;

  explicit Editable(const std::string& fixture) {
    const auto source = core::folder_source(std::string(PONDER_TEST_DATA "/models/") + fixture);
    config = *core::parse_json(source->open("config.json")->text(), "config.json");
    const auto checkpoint = core::Checkpoint::open(*source);
    REQUIRE(checkpoint.ok());
    for (const core::TensorInfo* info : checkpoint->tensors())
      tensors[info->name] = {info->type, info->shape,
                             {reinterpret_cast<const char*>(info->bytes.data()), info->bytes.size()}};
  }
  template <class Wanted>
  std::string shard(Wanted&& wanted) const {
    std::vector<core::TensorToWrite> list;
    for (const auto& [name, entry] : tensors)
      if (wanted(name)) list.push_back({name, entry.type, entry.shape, std::as_bytes(std::span(entry.bytes))});
    auto written = core::serialize_safetensors(list);
    REQUIRE_MESSAGE(written.ok(), written.status().message());
    return std::move(*written);
  }
  void build() {
    weights = shard([](const std::string&) { return true; });
    config_text = dump_json(config);
  }
  Files files() {
    build();
    return {{"config.json", config_text}, {"model.safetensors", weights}};
  }
  // Tensors turn by turn in shards "1.safetensors" to "N.safetensors", with an index.
  Files sharded_files(std::size_t n_shards) const {
    Files files{{"config.json", dump_json(config)}};
    std::map<std::string, std::size_t> place;
    for (const auto& [name, entry] : tensors) place[name] = place.size() % n_shards;
    core::Json map{core::Json::Object()};
    for (const auto& [name, at] : place) map.set(name, std::to_string(at + 1) + ".safetensors");
    for (std::size_t i = 0; i < n_shards; ++i)
      files[std::to_string(i + 1) + ".safetensors"] = shard([&](const std::string& name) { return place[name] == i; });
    core::Json index{core::Json::Object()};
    index.set("metadata", core::Json::Object{{"total_size", 1}});
    index.set("weight_map", std::move(map));
    files["model.safetensors.index.json"] = dump_json(index);
    return files;
  }
  core::Result<std::shared_ptr<const core::Model>> load(const core::LoadOptions& options = {}) {  // what build() made
    return load_files({{"config.json", config_text}, {"model.safetensors", weights}}, options);
  }
  core::Status status() {
    build();
    return load().status();
  }
};

}  // namespace ponder::test
