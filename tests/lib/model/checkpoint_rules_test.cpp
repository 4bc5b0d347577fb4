// Which tensors count, which are only warned of, and how a folder may look.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>

#include "lib/io/mapped_file.h"
#include "tests/lib/io/temporary_folder.h"
#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder::core;
using namespace ponder::test;
namespace fs = std::filesystem;

namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}
bool warns(const Model& model, std::string_view text) {
  return joined(model.load_report().warnings).find(text) != std::string::npos;
}

std::shared_ptr<const Model> loaded(const Files& files) {
  auto model = load_files(files);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

void write_files(const fs::path& folder, const Files& files) {
  for (const auto& [name, text] : files) REQUIRE(write_file(folder / name, as_bytes(text)).ok());
}

void move_layer(Editable& e, const std::string& from, const std::string& to, bool copy) {
  std::vector<std::pair<std::string, Editable::Entry>> moved;
  for (const auto& [name, entry] : e.tensors)
    if (name.starts_with(from)) moved.emplace_back(to + name.substr(from.size()), entry);
  if (!copy) std::erase_if(e.tensors, [&](const auto& item) { return item.first.starts_with(from); });
  for (auto& [name, entry] : moved) e.tensors[name] = std::move(entry);
}

}  // namespace

TEST_CASE("surplus tensors are warnings: inv_freq, a tied head, any other name") {
  Editable e("qwen2-tied-tiny");
  e.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = {DType::f32, Shape{1}, "1234"};
  e.tensors["lm_head.weight"] = e.tensors["model.embed_tokens.weight"];
  e.tensors["something.else"] = {DType::i64, Shape{0}, ""};
  const auto model = loaded(e.files());
  CHECK(warns(*model, "1 rotary_emb.inv_freq"));
  CHECK(warns(*model, "lm_head.weight is not used"));
  CHECK(warns(*model, "something.else is not used"));
  CHECK(model->weights().lm_head.data == model->weights().embed_tokens.data);
}

TEST_CASE("a surplus tensor of an unknown dtype or rank is a warning, a wanted one an error") {
  Editable e("qwen2-tiny");
  e.tensors["a"] = {DType::i16, Shape{1}, "xy"};
  Files files = e.files();
  std::string& weights = files["model.safetensors"];
  const std::size_t at = weights.find("\"I16\"");
  REQUIRE(at != std::string::npos);
  weights.replace(at, 5, "\"U16\"");
  CHECK(warns(*loaded(files), "a is not used: dtype U16 is not supported"));

  Editable wanted("qwen2-tiny");
  wanted.tensors["model.norm.weight"].type = DType::i16;
  files = wanted.files();
  files["model.safetensors"].replace(files["model.safetensors"].find("\"I16\""), 5, "\"U16\"");
  const Status status = load_files(files).status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "model.norm.weight: dtype U16 is not supported, wanted [64]"));
}

TEST_CASE("an MTP layer without its key is a warning, a key without its layer too") {
  Editable e("v3-tiny");
  e.config.set("num_nextn_predict_layers", 0);
  const auto without_key = loaded(e.files());
  CHECK(without_key->weights().mtp == nullptr);
  CHECK(warns(*without_key, "of layers from 3 on (multi-token prediction) are not used"));
  CHECK(without_key->load_report().warnings.size() == 1);

  Editable no_layer("v3-tiny");
  no_layer.config.set("num_nextn_predict_layers", 1);
  std::erase_if(no_layer.tensors, [](const auto& item) { return item.first.starts_with("model.layers.3."); });
  const auto without_layer = loaded(no_layer.files());
  CHECK(without_layer->weights().mtp == nullptr);
  CHECK(warns(*without_layer, "has no such layer"));
}

TEST_CASE("of several MTP layers the first is used and the others are named") {
  Editable e("v3-tiny");
  e.config.set("num_nextn_predict_layers", 2);
  move_layer(e, "model.layers.3.", "model.layers.4.", true);
  const auto model = loaded(e.files());
  CHECK(model->weights().mtp != nullptr);
  CHECK(warns(*model, "only the first such layer is used"));
  CHECK(warns(*model, "of layers from 4 on"));
}

TEST_CASE("an MTP layer is MoE whatever moe_layer_freq makes of its index, and may lack its embedding and head") {
  Editable e("v3-tiny");  // layers 1 and 2 are MoE, 3 is the MTP layer
  e.config.set("moe_layer_freq", 2);
  std::erase_if(e.tensors, [](const auto& item) { return item.first.starts_with("model.layers.1.mlp."); });
  move_layer(e, "model.layers.0.mlp.", "model.layers.1.mlp.", true);
  e.tensors.erase("model.layers.3.embed_tokens.weight");
  e.tensors.erase("model.layers.3.shared_head.head.weight");
  const auto model = loaded(e.files());
  REQUIRE(model->weights().mtp != nullptr);
  CHECK_FALSE(model->weights().mtp->layer.moe.experts.empty());
  CHECK(model->weights().mtp->embed_tokens.data == model->weights().embed_tokens.data);
  CHECK(model->weights().mtp->shared_head.data == model->weights().lm_head.data);
  CHECK(model->load_report().warnings.empty());
}

TEST_CASE("with an index its weight_map alone counts") {
  const Editable e("qwen2-tiny");
  Files files = e.sharded_files(3);
  const auto plain = loaded(files);
  files["model.safetensors"] = "not read";
  files["4.safetensors"] = "nor is this";
  CHECK(loaded(files)->fingerprint() == plain->fingerprint());

  // A second, different model.norm.weight in a shard that the map does not give for it.
  Editable other("qwen2-tiny");
  other.tensors["model.norm.weight"].bytes.assign(128, '\0');
  Json index = *parse_json(files["model.safetensors.index.json"], "index");
  const std::string home = index.find("weight_map")->find("model.norm.weight")->as_string();
  const std::string elsewhere = home == "1.safetensors" ? "2.safetensors" : "1.safetensors";
  files[elsewhere] = other.shard([&](const std::string& name) {
    return name == "model.norm.weight" || index.find("weight_map")->find(name)->as_string() == elsewhere;
  });
  const auto model = loaded(files);
  CHECK(std::memcmp(model->weights().norm, plain->weights().norm, 64 * sizeof(float)) == 0);
  CHECK(model->load_report().warnings.empty());

  // In a shard, but not in the map: as if it were not there.
  std::erase_if(index.find("weight_map")->as_object(), [](const auto& m) { return m.first == "model.norm.weight"; });
  files["model.safetensors.index.json"] = dump_json(index);
  CHECK(names(load_files(files).status(), "model.norm.weight: missing"));
}

TEST_CASE("tensors missing from their shard and mis-shaped ones are reported together") {
  const Editable e("qwen2-tiny");
  Files files = e.sharded_files(2);
  Json index = *parse_json(files["model.safetensors.index.json"], "index");
  const auto in_first = [&](const std::string& name) {
    return index.find("weight_map")->find(name)->as_string() == "1.safetensors";
  };
  Editable wrong("qwen2-tiny");
  std::string lost;
  for (const auto& [name, entry] : wrong.tensors)
    if (in_first(name) && lost.empty()) lost = name;
  wrong.tensors["model.layers.1.mlp.up_proj.weight"].shape = Shape{1, 64 * 160};
  const std::string home = in_first("model.layers.1.mlp.up_proj.weight") ? "1.safetensors" : "2.safetensors";
  const auto rows = e.tensors.at("model.layers.1.mlp.up_proj.weight").shape;
  wrong.tensors["model.layers.1.mlp.up_proj.weight"].shape = Shape{rows[1], rows[0]};
  for (const char* shard : {"1.safetensors", "2.safetensors"})
    files[shard] = wrong.shard([&](const std::string& name) {
      return name != lost && index.find("weight_map")->find(name)->as_string() == shard;
    });
  const Status status = load_files(files).status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, lost + ": missing from 1.safetensors, where model.safetensors.index.json places it"));
  CHECK(names(status, "model.layers.1.mlp.up_proj.weight: shape"));
}

TEST_CASE("FP8 is decided per tensor: any matrix may have it, none must") {
  Editable e("v3-fp8-tiny");
  const std::string name = "model.layers.0.mlp.gate_proj.weight";
  Editable::Entry& entry = e.tensors[name];
  REQUIRE(entry.type == DType::f8_e4m3);
  entry.type = DType::bf16;
  entry.bytes.resize(2 * entry.bytes.size(), '\0');
  e.tensors.erase(name + "_scale_inv");
  const std::string embed = "model.embed_tokens.weight";
  Editable::Entry& embedding = e.tensors[embed];
  embedding.type = DType::f8_e4m3;
  embedding.bytes.resize(embedding.bytes.size() / 2);
  const Shape scales{(embedding.shape[0] + 127) / 128, (embedding.shape[1] + 127) / 128};
  e.tensors[embed + "_scale_inv"] = {DType::f32, scales, std::string(static_cast<std::size_t>(4 * scales.n_elements()), '\0')};
  const auto model = loaded(e.files());
  CHECK(model->load_report().warnings.empty());
  CHECK(model->weights().layers[0].mlp.gate_proj.type == DType::bf16);
  CHECK(model->weights().embed_tokens.type == DType::f8_e4m3);

  const Shape wrong{scales[1], scales[0] + 1};
  e.tensors[embed + "_scale_inv"] = {DType::f32, wrong, std::string(static_cast<std::size_t>(4 * wrong.n_elements()), '\0')};
  const Status refused = e.status();
  CHECK_FALSE(refused.ok());
  CHECK(names(refused, embed + "_scale_inv"));
}

TEST_CASE("without tokenizer files a model loads, and says why it has no text") {
  const auto model = loaded(Editable("qwen2-tiny").files());
  CHECK(model->tokenizer() == nullptr);
  CHECK(model->tokenizer_status().code() == Code::no_tokenizer);
  CHECK(names(model->tokenizer_status(), "tokenizer.json"));
}

TEST_CASE("a folder may have a trailing slash, spaces, other letters and linked shards") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path() / u8"mo del ｜ é";
  const fs::path blobs = temporary.path() / "blobs";
  fs::create_directories(folder);
  fs::create_directories(blobs);
  const Files files = Editable("qwen2-tiny").sharded_files(2);
  write_files(folder, files);
  const auto model = Model::load(folder_source(folder), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  CHECK(Model::load(folder_source(folder / ""), {}).ok());
  for (const char* name : {"1.safetensors", "2.safetensors", "config.json"}) {  // as in the Hugging Face cache
    fs::rename(folder / name, blobs / name);
    fs::create_symlink(fs::path("../blobs") / name, folder / name);
  }
  const auto linked = Model::load(folder_source(folder), {});
  REQUIRE_MESSAGE(linked.ok(), linked.status().message());
  CHECK((*linked)->fingerprint() == (*model)->fingerprint());
  fs::remove(blobs / "2.safetensors");
  const Status status = Model::load(folder_source(folder), {}).status();
  CHECK(status.code() == Code::not_found);
  CHECK(names(status, "2.safetensors"));
}

TEST_CASE("a path that is no checkpoint folder is an error that names it") {
  const TemporaryFolder temporary;
  const Files files = Editable("qwen2-tiny").files();
  write_files(temporary.path(), files);
  const Status file = Model::load(folder_source(temporary.path() / "model.safetensors"), {}).status();
  CHECK(file.code() == Code::not_found);
  CHECK(names(file, "model.safetensors: a file, wanted the folder"));
  const Status nothing = Model::load(folder_source(temporary.path() / "absent"), {}).status();
  CHECK(nothing.code() == Code::not_found);
  CHECK(names(nothing, "absent: no such folder"));
  fs::create_directories(temporary.path() / "empty");
  const Status empty = Model::load(folder_source(temporary.path() / "empty"), {}).status();
  CHECK(empty.code() == Code::not_found);
  CHECK(names(empty, "config.json"));
}

TEST_CASE("a folder named like a file, an empty file and an unreadable one are errors that name it") {
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"}) {
    CAPTURE(name);
    const TemporaryFolder temporary;
    write_files(temporary.path(), Editable("qwen2-tiny").files());
    fs::remove(temporary.path() / name);
    fs::create_directory(temporary.path() / name);
    const Status folder = Model::load(folder_source(temporary.path()), {}).status();
    CHECK(folder.code() == Code::io);
    CHECK(names(folder, std::string(name) + ": a folder"));
    fs::remove(temporary.path() / name);
    REQUIRE(write_file(temporary.path() / name, {}).ok());
    const Status empty = Model::load(folder_source(temporary.path()), {}).status();
    CHECK(empty.code() == Code::bad_file);
    CHECK(names(empty, name));
    fs::permissions(temporary.path() / name, fs::perms::none);
    if (read_file(temporary.path() / name, 10).ok()) continue;  // root reads everything
    CHECK(Model::load(folder_source(temporary.path()), {}).status().code() == Code::io);
  }
}
