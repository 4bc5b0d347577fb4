#include "lib/model/collect_importance.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "lib/base/format.h"
#include "lib/io/gguf_writer.h"
#include "lib/model/forward.h"
#include "lib/model/gguf_tensors.h"
#include "lib/ops/ops.h"

namespace ponder::core {
namespace {

struct Sums {
  std::vector<float> squares;  // [n_cols]
  float count = 0;             // rows that went in
};

class Collector final : public ProductObserver {
 public:
  Collector(const Context& ctx, const std::vector<GgufTensorSource>& tensors) : ctx_(ctx) {
    for (const GgufTensorSource& tensor : tensors)
      for (const Weight* w : tensor.weights) sums_.try_emplace(w->data).first->second.squares.resize(w->n_in);
  }

  void saw(const Weight& w, const Tensor& x) override {
    const auto found = sums_.find(w.data);
    if (found == sums_.end() || found->second.squares.size() != x.n_cols) return;
    Sums& sums = found->second;
    // By columns: every sum has the order of the rows, whatever the threads.
    ops::for_rows(ctx_, x.n_cols, x.n_rows, [&](std::size_t first, std::size_t count) {
      for (std::size_t k = first; k < first + count; ++k) {
        double sum = 0;
        for (std::size_t t = 0; t < x.n_rows; ++t) sum += double{x.row(t)[k]} * double{x.row(t)[k]};
        sums.squares[k] = static_cast<float>(double{sums.squares[k]} + sum);
      }
    });
    sums.count += static_cast<float>(x.n_rows);
  }

  const Sums& of(const Weight& w) const { return sums_.at(w.data); }

 private:
  const Context& ctx_;
  std::unordered_map<const std::byte*, Sums> sums_;
};

// Tensors that products with observed factors belong to, with the weights to look under: of `up` those of its gate.
struct Observed {
  const GgufTensorSource* tensor;
  const std::vector<const Weight*>* weights;
};
std::vector<Observed> observed(const std::vector<GgufTensorSource>& tensors) {
  std::vector<Observed> list;
  const std::vector<const Weight*>* gate = nullptr;
  for (const GgufTensorSource& tensor : tensors) {
    const std::string& name = tensor.out.name;
    if (tensor.weights.empty() || !name.starts_with("blk.") || name.find("ffn_gate_inp") != name.npos ||
        name.find("attn_k_b") != name.npos || name.find("attn_v_b") != name.npos)
      continue;
    if (name.find("ffn_gate") != name.npos) gate = &tensor.weights;
    list.push_back({&tensor, name.find("ffn_up") != name.npos ? gate : &tensor.weights});
  }
  return list;
}

Status write(const Collector& collector, const std::vector<Observed>& list, std::unique_ptr<OutputFile> output,
             const CollectOptions& options, CollectReport& report) {
  GgufMetadata metadata;
  metadata.add_string("general.type", "imatrix");
  metadata.add_strings("imatrix.datasets", std::vector<std::string>{options.dataset});
  metadata.add_u32("imatrix.chunk_count", static_cast<std::int64_t>(report.n_chunks));
  metadata.add_u32("imatrix.chunk_size", static_cast<std::int64_t>(options.chunk_tokens));
  std::vector<GgufTensor> table;
  for (const Observed& entry : list) {
    const auto n = static_cast<std::int64_t>(entry.weights->size());
    table.push_back({entry.tensor->out.name + ".in_sum2", DType::f32, {n, static_cast<std::int64_t>(entry.tensor->n_cols())}});
    table.push_back({entry.tensor->out.name + ".counts", DType::f32, {n, 1}});
  }
  PONDER_ASSIGN(GgufWriter writer, GgufWriter::create(std::move(output), metadata, std::move(table)));
  for (const Observed& entry : list) {
    for (const Weight* w : *entry.weights) {
      const Sums& sums = collector.of(*w);
      report.unreached_experts += sums.count == 0 && entry.weights == &entry.tensor->weights ? 1 : 0;
      PONDER_TRY(writer.append(std::as_bytes(std::span(sums.squares))));
    }
    for (const Weight* w : *entry.weights) PONDER_TRY(writer.append(std::as_bytes(std::span(&collector.of(*w).count, 1))));
  }
  report.n_tensors = list.size();
  return writer.finish();
}

}  // namespace

Result<CollectReport> collect_importance(const Context& ctx, const Model& model, std::span<const TokenId> ids,
                                         std::unique_ptr<OutputFile> output, const CollectOptions& options) {
  const Config& c = model.config();
  const std::size_t chunk = options.chunk_tokens;
  if (chunk < 2 || chunk > static_cast<std::size_t>(c.max_position_embeddings))
    return fail(Code::invalid_argument, "chunks of {} tokens, want 2 to {}", chunk, c.max_position_embeddings);
  const Tokenizer* tokenizer = model.tokenizer().get();
  const TokenId bos = tokenizer && tokenizer->add_bos() ? tokenizer->bos().value_or(-1) : -1;
  const std::size_t of_text = chunk - (bos >= 0 ? 1 : 0);
  std::size_t n_chunks = ids.size() / of_text;
  if (options.max_chunks > 0) n_chunks = std::min(n_chunks, options.max_chunks);
  if (n_chunks == 0)
    return fail(Code::invalid_argument, "the text has {} tokens, want at least a chunk of {}", ids.size(), of_text);

  PONDER_ASSIGN(const Mix mix, find_mix("f32"));
  PONDER_ASSIGN(const std::vector<GgufTensorSource> tensors, gguf_tensors(model, mix, false));
  MemoryCharge sums(ctx.memory, MemoryUse::other);
  for (const GgufTensorSource& tensor : tensors)
    for (const Weight* w : tensor.weights) PONDER_TRY(sums.add(w->n_in * sizeof(float) + sizeof(Sums) + 64).with_prefix("importance"));
  Collector collector(ctx, tensors);
  Context watched = ctx;
  watched.compute = Compute::exact;
  watched.observer = &collector;
  PONDER_ASSIGN(Forward forward, Forward::create(model, watched, {.max_rows = chunk, .max_logits_rows = 1}));
  const KvLayout layout{static_cast<std::size_t>(c.num_hidden_layers), static_cast<std::size_t>(c.kv_row_elements()),
                        DType::f32};
  CollectReport report;
  std::vector<TokenId> tokens;
  for (;; ++report.n_chunks) {
    if (options.progress && !options.progress(report.n_chunks, n_chunks))
      return fail(Code::cancelled, "stopped after {} of {} chunks", report.n_chunks, n_chunks);
    if (report.n_chunks == n_chunks) break;
    tokens.clear();
    if (bos >= 0) tokens.push_back(bos);
    const auto part = ids.subspan(report.n_chunks * of_text, of_text);
    tokens.insert(tokens.end(), part.begin(), part.end());
    PONDER_ASSIGN(KvCache kv, KvCache::create(layout, chunk, ctx.memory));
    const SequenceRows sequence{&kv, 0, tokens.size()};
    PONDER_TRY(forward.run({tokens, {&sequence, 1}, {}, nullptr}));
  }
  PONDER_TRY(write(collector, observed(tensors), std::move(output), options, report));
  return report;
}

}  // namespace ponder::core
