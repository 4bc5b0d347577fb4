// SwiGLU feed-forward block: down(silu(gate(x)) * up(x)).
#include "lib/model/decoder_layer.h"
#include "lib/ops/ops.h"

namespace ponder::core {

void ffn_dense(const Context& ctx, const MlpWeights& w, const Tensor& out, const Tensor& in, Scratch& s) {
  const Tensor inner = s.ffn_inner.rows(0, in.n_rows).cols(0, w.gate_proj.n_out);
  ops::Product gated{inner, in, &w.gate_proj, &w.up_proj};
  ops::matmul_all(ctx, {&gated, 1});
  ops::matmul(ctx, out, inner, w.down_proj);
}

}  // namespace ponder::core
