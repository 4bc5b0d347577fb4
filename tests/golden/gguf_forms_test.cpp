// GGUF's other forms of one model: kv_b_proj whole or split, block types or f32, one file or several, with an MTP layer.
#include <doctest/doctest.h>

#include <random>

#include "kernels/base/table.h"
#include "tests/golden/golden_fixture.h"
#include "tests/lib/io/editable_gguf.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

std::vector<TokenId> some_ids(const Model& model, std::size_t n) {
  std::vector<TokenId> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<TokenId>(i * 37 % static_cast<std::size_t>(model.config().vocab_size));
  return ids;
}

std::vector<float> logits(const Model& model, MlaForm form, Compute compute = Compute::exact,
                          ponder::kernels::Isa isa = test_isa()) {
  const auto ids = some_ids(model, 90);  // more than one block of the cache
  Pass pass(model, 100, isa, form, compute);
  KvCache kv = cache_for(model, ids.size());
  const Tensor out = pass.run(ids, kv);
  return {out.data, out.data + out.n_rows * out.n_cols};
}

// Largest |a - b| / (1 + |b|).
double worst_of(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double found = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double ratio = std::abs(double{a[i]} - double{b[i]}) / (1 + std::abs(double{b[i]}));
    if (!(ratio <= found)) found = ratio;
  }
  return found;
}

std::shared_ptr<const Model> model_of(const std::string& file) {
  const auto model = Model::load(gguf_source(file), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  CHECK(model.value()->load_report().warnings.empty());
  return *model;
}

struct Heads {
  std::size_t heads, nope, v, rank;
};

// attn_k_b [H, r, dn] and attn_v_b [H, dv, r] to attn_kv_b [H (dn + dv), r], elements of `size` bytes, and back.
void join(EditableGguf& file, const std::string& layer, const Heads& d, std::size_t size) {
  const auto &k = file.tensors[layer + "attn_k_b.weight"], &v = file.tensors[layer + "attn_v_b.weight"];
  std::string bytes;
  for (std::size_t h = 0; h < d.heads; ++h) {
    for (std::size_t n = 0; n < d.nope; ++n)
      for (std::size_t r = 0; r < d.rank; ++r) bytes += k.bytes.substr(((h * d.rank + r) * d.nope + n) * size, size);
    bytes += v.bytes.substr(h * d.v * d.rank * size, d.v * d.rank * size);
  }
  file.tensors[layer + "attn_kv_b.weight"] = {k.type, {d.heads * (d.nope + d.v), d.rank}, bytes};
  file.tensors.erase(layer + "attn_k_b.weight");
  file.tensors.erase(layer + "attn_v_b.weight");
}
void divide(EditableGguf& file, const std::string& layer, const Heads& d, std::size_t size) {
  const auto whole = file.tensors[layer + "attn_kv_b.weight"];
  std::string k, v;
  for (std::size_t h = 0; h < d.heads; ++h) {
    const std::size_t first = h * (d.nope + d.v) * d.rank;
    for (std::size_t r = 0; r < d.rank; ++r)
      for (std::size_t n = 0; n < d.nope; ++n) k += whole.bytes.substr((first + n * d.rank + r) * size, size);
    v += whole.bytes.substr((first + d.nope * d.rank) * size, d.v * d.rank * size);
  }
  file.tensors[layer + "attn_k_b.weight"] = {whole.type, {d.heads, d.rank, d.nope}, k};
  file.tensors[layer + "attn_v_b.weight"] = {whole.type, {d.heads, d.v, d.rank}, v};
  file.tensors.erase(layer + "attn_kv_b.weight");
}

const ponder::kernels::BlockKernels& kernels_of(const ponder::kernels::Table& table, DType type) {
  return type == DType::q8_0 ? table.q8_0 : type == DType::q4_k ? table.q4_k : table.q6_k;
}

// A DeepSeek-V3 of random weights, all sizes whole blocks: matrices in `type`, and the same values in f32.
struct RandomModel {
  EditableGguf quantised, f32;

  RandomModel(DType type, bool split) : table_(ponder::kernels::make_table(ponder::kernels::Isa::ref)), type_(type) {
    const Heads d{2, 256, 256, 256};
    const std::uint64_t hidden = 256, inner = 256, q_rank = 256, rope = 16, vocab = 64, experts = 8;
    EditableGguf base("v3-tiny.bf16.gguf");
    base.tensors.clear();
    for (const auto& [key, value] : std::initializer_list<std::pair<const char*, std::uint64_t>>{
             {"block_count", 2}, {"embedding_length", hidden}, {"feed_forward_length", inner}, {"attention.head_count", 2},
             {"attention.kv_lora_rank", d.rank}, {"attention.q_lora_rank", q_rank}, {"vocab_size", vocab},
             {"rope.dimension_count", rope}, {"expert_count", experts}, {"expert_used_count", 3},
             {"expert_feed_forward_length", inner}, {"expert_group_count", 4}, {"expert_group_used_count", 2}})
      base.set(std::string("deepseek2.") + key, static_cast<std::uint32_t>(value));
    for (const char* key : {"key_length", "value_length", "key_length_mla", "value_length_mla", "head_count_kv"})
      base.metadata.erase(std::string("deepseek2.attention.") + key);
    const auto set_length = [&](const char* key, std::uint64_t n) {
      base.set(std::string("deepseek2.attention.") + key, static_cast<std::uint32_t>(n));
    };
    if (split) {
      set_length("key_length", d.rank + rope), set_length("value_length", d.rank), set_length("head_count_kv", 1);
      set_length("key_length_mla", d.nope + rope), set_length("value_length_mla", d.v);
    } else {
      set_length("key_length", d.nope + rope), set_length("value_length", d.v);
    }
    for (const char* key : {"model", "pre", "tokens", "token_type", "merges", "bos_token_id", "eos_token_id"})
      base.metadata.erase(std::string("tokenizer.ggml.") + key);
    quantised = f32 = base;

    matrix("token_embd.weight", {vocab, hidden}, 1);
    matrix("output.weight", {vocab, hidden}, 0.1f);
    vector("output_norm.weight", hidden, 1);
    for (std::uint64_t layer = 0; layer < 2; ++layer) {
      const std::string at = "blk." + std::to_string(layer) + ".";
      vector(at + "attn_norm.weight", hidden, 1);
      vector(at + "ffn_norm.weight", hidden, 1);
      vector(at + "attn_q_a_norm.weight", q_rank, 1);
      vector(at + "attn_kv_a_norm.weight", d.rank, 1);
      matrix(at + "attn_q_a.weight", {q_rank, hidden});
      matrix(at + "attn_q_b.weight", {d.heads * (d.nope + rope), q_rank});
      matrix(at + "attn_kv_a_mqa.weight", {d.rank + rope, hidden});
      if (split) {
        matrix(at + "attn_k_b.weight", {d.heads, d.rank, d.nope});
        matrix(at + "attn_v_b.weight", {d.heads, d.v, d.rank});
      } else {
        matrix(at + "attn_kv_b.weight", {d.heads * (d.nope + d.v), d.rank});
      }
      matrix(at + "attn_output.weight", {hidden, d.heads * d.v});
      const std::string ends[] = {layer == 0 ? ".weight" : "_exps.weight", "_shexp.weight"};
      for (std::size_t i = 0; i < (layer == 0 ? 1u : 2u); ++i)
        for (const char* projection : {"ffn_gate", "ffn_up", "ffn_down"}) {
          if (layer == 1 && i == 0) matrix(at + projection + ends[i], {experts, inner, hidden});
          else matrix(at + projection + ends[i], {inner, hidden});
        }
    }
    vector("blk.1.exp_probs_b.bias", experts, 0);
    std::string router;
    for (std::uint64_t i = 0; i < experts * hidden; ++i) append(router, 0.2f * normal_(random_));
    for (EditableGguf* file : {&quantised, &f32}) file->tensors["blk.1.ffn_gate_inp.weight"] = {DType::f32, {experts, hidden}, router};
  }

 private:
  static void append(std::string& bytes, float value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); }

  // Random bytes are blocks of the type once their f16 scales are small numbers.
  void matrix(const std::string& name, const std::vector<std::uint64_t>& shape, float size = 0.06f) {
    std::uint64_t n = 1;
    for (const std::uint64_t dim : shape) n *= dim;
    std::string bytes(row_bytes(type_, n), '\0');
    for (char& c : bytes) c = static_cast<char>(random_() & 0xff);
    const std::size_t n_scales = type_ == DType::q4_k ? 2 : 1;
    // Typical largest value of a block per unit of its scale.
    const float unit = type_ == DType::q8_0 ? 74 : type_ == DType::q4_k ? 300 : 1400;
    for (std::size_t at = 0; at < bytes.size(); at += block_bytes(type_))
      for (std::size_t i = 0; i < n_scales; ++i) {
        const std::uint16_t scale = f32_to_f16(size / unit * (i == 0 ? 1.0f : 7.5f) * (0.75f + 0.5f * static_cast<float>(random_() % 100) / 100));
        std::memcpy(bytes.data() + at + (type_ == DType::q6_k ? 208 : 0) + 2 * i, &scale, 2);
      }
    std::string floats(n * sizeof(float), '\0');
    kernels_of(table_, type_).to_f32(reinterpret_cast<float*>(floats.data()), reinterpret_cast<const std::byte*>(bytes.data()), n);
    quantised.tensors[name] = {type_, shape, bytes};
    f32.tensors[name] = {DType::f32, shape, floats};
  }
  void vector(const std::string& name, std::uint64_t n, float mean) {
    std::string bytes;
    for (std::uint64_t i = 0; i < n; ++i) append(bytes, mean + 0.1f * normal_(random_));
    quantised.tensors[name] = f32.tensors[name] = {DType::f32, {n}, bytes};
  }

  ponder::kernels::Table table_;
  DType type_;
  std::mt19937 random_{7};
  std::normal_distribution<float> normal_;
};

}  // namespace

TEST_CASE("GGUF: kv_b_proj split and whole give the same logits in both forms of MLA") {
  EditableGguf split("v3-tiny.bf16.gguf"), whole = split;
  const Heads v3{4, 16, 16, 32};
  for (const char* layer : {"blk.0.", "blk.1.", "blk.2."}) join(whole, layer, v3, 2);
  whole.metadata.erase("deepseek2.attention.key_length_mla");
  whole.metadata.erase("deepseek2.attention.value_length_mla");
  whole.set("deepseek2.attention.key_length", 32u);
  whole.set("deepseek2.attention.value_length", 16u);
  whole.set("deepseek2.attention.head_count_kv", 4u);

  EditableGguf lite("v2lite-tiny.bf16.gguf"), lite_split = lite;
  for (const char* layer : {"blk.0.", "blk.1.", "blk.2."}) divide(lite_split, layer, v3, 2);
  lite_split.set("deepseek2.attention.key_length_mla", 32u);
  lite_split.set("deepseek2.attention.value_length_mla", 16u);
  lite_split.set("deepseek2.attention.key_length", 48u);
  lite_split.set("deepseek2.attention.value_length", 32u);
  lite_split.set("deepseek2.attention.head_count_kv", 1u);

  for (const auto& [a, b] : {std::pair{&split, &whole}, {&lite_split, &lite}}) {
    const std::string a_bytes = a->build(), b_bytes = b->build();
    const auto a_model = model_of(a_bytes), b_model = model_of(b_bytes);
    CHECK(a_model->weights().layers[0].self_attn.kv_b_proj.empty());
    CHECK(b_model->weights().layers[0].self_attn.k_b_proj.empty());
    for (const MlaForm form : {MlaForm::absorbed, MlaForm::expanded})
      CHECK(worst_of(logits(*a_model, form), logits(*b_model, form)) <= 2e-5);
  }
}

TEST_CASE("GGUF: k_b and v_b with all heads in one matrix are those with a matrix per head, bit by bit") {
  EditableGguf split("v3-tiny.bf16.gguf"), flat = split;
  for (auto& [name, tensor] : flat.tensors)
    if (name.ends_with("attn_k_b.weight") || name.ends_with("attn_v_b.weight"))
      tensor.shape = {tensor.shape[0] * tensor.shape[1], tensor.shape[2]};
  const std::string split_bytes = split.build(), flat_bytes = flat.build();
  CHECK(logits(*model_of(flat_bytes), MlaForm::absorbed) == logits(*model_of(split_bytes), MlaForm::absorbed));

  // ik_llama.cpp writes them beside the whole, which is then taken; one line says so.
  EditableGguf both = split;
  for (const char* layer : {"blk.0.", "blk.1.", "blk.2."}) join(both, layer, {4, 16, 16, 32}, 2);
  both.tensors.insert(flat.tensors.begin(), flat.tensors.end());
  const std::string both_bytes = both.build();
  const auto loaded = Model::load(gguf_source(both_bytes), {});
  REQUIRE_MESSAGE(loaded.ok(), loaded.status().message());
  CHECK((*loaded)->weights().layers[0].self_attn.k_b_proj.empty());
  REQUIRE((*loaded)->load_report().warnings.size() == 1);
  CHECK((*loaded)->load_report().warnings[0] == "6 tensors attn_k_b and attn_v_b are not used: attn_kv_b is there");
}

TEST_CASE("GGUF: MLA and experts in block types compute what their dequantised f32 weights compute") {
  using ponder::kernels::Isa;
  for (const DType type : {DType::q8_0, DType::q4_k, DType::q6_k})
    for (const bool split : {true, false}) {
      CAPTURE(dtype_name(type));
      CAPTURE(split);
      RandomModel made(type, split);
      const std::string quantised_bytes = made.quantised.build(), f32_bytes = made.f32.build();
      const auto quantised = model_of(quantised_bytes), f32 = model_of(f32_bytes);
      const auto want = logits(*f32, MlaForm::absorbed);
      double size = 0;
      for (const float x : want) size = std::max(size, std::abs(double{x}));
      CHECK(size > 0.1);
      CHECK(size < 1000);
      for (const Isa isa : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16}) {
        if (!ponder::kernels::isa_supported(isa) || isa > test_isa()) continue;
        for (const MlaForm form : {MlaForm::absorbed, MlaForm::expanded})
          CHECK(worst_of(logits(*quantised, form, Compute::exact, isa), want) <= 2e-4);
      }
    }
}

TEST_CASE("GGUF: a layer for multi-token prediction gives the drafts of its safetensors") {
  EditableGguf file("v3-tiny.bf16.gguf");
  const auto checkpoint = Checkpoint::open(*folder_source(PONDER_TEST_DATA "/models/v3-tiny"));
  REQUIRE(checkpoint.ok());
  const auto copy = [&](const std::string& from, const std::string& to, bool append = false) {
    const TensorInfo* info = checkpoint->find("model.layers.3." + from);
    REQUIRE_MESSAGE(info, from);
    auto& tensor = file.tensors["blk.3." + to];
    tensor.type = info->type;
    if (!append) tensor.shape.clear(), tensor.bytes.clear();
    if (tensor.shape.empty() && append) tensor.shape.push_back(16);
    if (tensor.bytes.empty())
      for (std::size_t i = 0; i < info->shape.n_dims(); ++i) tensor.shape.push_back(static_cast<std::uint64_t>(info->shape[i]));
    tensor.bytes += EditableGguf::text(info->bytes);
  };
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"eh_proj", "nextn.eh_proj"}, {"enorm", "nextn.enorm"}, {"hnorm", "nextn.hnorm"},
           {"embed_tokens", "nextn.embed_tokens"}, {"shared_head.norm", "nextn.shared_head_norm"},
           {"shared_head.head", "nextn.shared_head_head"}, {"input_layernorm", "attn_norm"},
           {"post_attention_layernorm", "ffn_norm"}, {"self_attn.q_a_proj", "attn_q_a"},
           {"self_attn.q_a_layernorm", "attn_q_a_norm"}, {"self_attn.q_b_proj", "attn_q_b"},
           {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"}, {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
           {"self_attn.kv_b_proj", "attn_kv_b"}, {"self_attn.o_proj", "attn_output"}, {"mlp.gate", "ffn_gate_inp"},
           {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"}, {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
           {"mlp.shared_experts.down_proj", "ffn_down_shexp"}})
    copy(std::string(from) + ".weight", std::string(to) + ".weight");
  copy("mlp.gate.e_score_correction_bias", "exp_probs_b.bias");
  for (int e = 0; e < 16; ++e)
    for (const char* projection : {"gate", "up", "down"})
      copy("mlp.experts." + std::to_string(e) + "." + projection + "_proj.weight",
           std::string("ffn_") + projection + "_exps.weight", true);
  const std::string uncounted = file.build();
  const auto without = Model::load(gguf_source(uncounted), {});
  REQUIRE_MESSAGE(without.ok(), without.status().message());
  CHECK_FALSE((*without)->weights().mtp);
  REQUIRE((*without)->load_report().warnings.size() == 1);
  CHECK((*without)->load_report().warnings[0].find("tensors of layers from 3 on (multi-token prediction)") != std::string::npos);
  file.set("deepseek2.block_count", 4u);
  file.set("deepseek2.nextn_predict_layers", 1u);

  Fixture f = load("v3-tiny");
  const std::string bytes = file.build();
  f.model = model_of(bytes);
  REQUIRE(f.model->weights().mtp);
  const auto ids = values<TokenId>(f, "prompt.2.ids"), next = values<TokenId>(f, "mtp.ids_next");
  Pass pass(*f.model);
  KvCache kv = cache_for(*f.model, ids.size()), mtp_kv = cache_for(*f.model, ids.size(), 1);
  (void)pass.run(ids, kv);
  const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
  std::vector<float> drafts(ids.size() * vocab);
  const Tensor out(drafts.data(), ids.size(), vocab);
  REQUIRE(pass.forward().mtp(pass.forward().final_hidden(), next, mtp_kv, out, {}).ok());
  CHECK(worst(out, values<float>(f, "mtp.logits"), f.tolerance) <= 1);

  file.tensors.erase("blk.3.nextn.embed_tokens.weight");  // copies of the main model's may be left out
  file.tensors.erase("blk.3.nextn.shared_head_head.weight");
  const std::string shared = file.build();
  CHECK(model_of(shared)->weights().mtp->shared_head.data == model_of(shared)->weights().lm_head.data);
}

TEST_CASE("GGUF: a model in several files is the model in one") {
  EditableGguf whole("qwen2-tiny.bf16.gguf"), parts[2];
  parts[0].metadata = whole.metadata;
  std::size_t i = 0;
  for (const auto& [name, tensor] : whole.tensors) parts[i++ % 2].tensors[name] = tensor;
  for (std::uint32_t part = 0; part < 2; ++part) {
    parts[part].set("split.no", part);
    parts[part].set("split.count", 2u);
    parts[part].set("split.tensors.count", static_cast<std::uint32_t>(whole.tensors.size()));
  }
  const std::string one = whole.build(), first = parts[0].build(), second = parts[1].build();
  const auto source = memory_source({{"m-00001-of-00002.gguf", std::as_bytes(std::span(first))},
                                     {"m-00002-of-00002.gguf", std::as_bytes(std::span(second))}});
  const auto model = Model::load(source, {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  CHECK((logits(**model, MlaForm::automatic) == logits(*model_of(one), MlaForm::automatic)));
}
