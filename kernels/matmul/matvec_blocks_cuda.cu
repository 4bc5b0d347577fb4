// Products of few rows with weights of GGUF's block types.
#include "kernels/matmul/matvec.cuh"

namespace ponder::cuda {

namespace {

template <class Body>
void with_block_type(uint32_t type, Body&& body) {
  switch (type) {
    case PONDER_TYPE_Q4_0: return body(TypeConstant<PONDER_TYPE_Q4_0>());
    case PONDER_TYPE_Q8_0: return body(TypeConstant<PONDER_TYPE_Q8_0>());
    case PONDER_TYPE_Q4_K: return body(TypeConstant<PONDER_TYPE_Q4_K>());
    case PONDER_TYPE_Q5_K: return body(TypeConstant<PONDER_TYPE_Q5_K>());
    case PONDER_TYPE_Q6_K: return body(TypeConstant<PONDER_TYPE_Q6_K>());
    default: return;
  }
}

}  // namespace

void matvec_blocks(const MatvecCall& c) {
  with_block_type(c.w.type, [&](auto type) { matvec_of<decltype(type)::value>(c); });
}
void experts_gated_blocks(const ExpertsCall& c) {
  with_block_type(c.w.type, [&](auto type) { experts_gated_of<decltype(type)::value>(c); });
}
void experts_down_blocks(const ExpertsCall& c) {
  with_block_type(c.w.type, [&](auto type) { experts_down_of<decltype(type)::value>(c); });
}

}  // namespace ponder::cuda
