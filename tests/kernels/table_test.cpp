#include "kernels/base/table.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace ponder::kernels;

TEST_CASE("isa: names and levels belong together, unknown names are refused") {
  for (Isa isa : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16, Isa::neon}) {
    Isa found = Isa::ref;
    CHECK(isa_from_name(isa_name(isa), found));
    CHECK(found == isa);
  }
  Isa untouched = Isa::avx2;
  CHECK_FALSE(isa_from_name("avx", untouched));
  CHECK_FALSE(isa_from_name("", untouched));
  CHECK(untouched == Isa::avx2);
}

TEST_CASE("isa: the best level is supported and not above the cap") {
  for (Isa cap : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16}) {
    CHECK(best_isa(cap) <= cap);
    CHECK(isa_supported(best_isa(cap)));
  }
  CHECK(isa_supported(Isa::ref));
  CHECK(isa_supported(highest_isa()));
}

TEST_CASE("table: the cap decides which implementation is taken") {
  const Table ref = make_table(Isa::ref);
  CHECK(ref.isa == Isa::ref);
  CHECK((ref.matmul_bf16 == matmul_bf16_ref));
  CHECK((ref.vecmat_fp8 == vecmat_fp8_ref));
  CHECK((ref.softmax_block == softmax_block_ref));
  CHECK((ref.matmul_bf16_fast == nullptr));
  CHECK((ref.matmul_fp8_fast == nullptr));
  const Table best = make_table(highest_isa());
  CHECK(best.isa == highest_isa());
  if (best.isa == Isa::ref) return;
  CHECK((best.matmul_f32 != matmul_f32_ref));
  CHECK((best.matmul_bf16 != matmul_bf16_ref));
  CHECK((best.vecmat_fp8 != vecmat_fp8_ref));
  CHECK((best.attend_f16 != attend_f16_ref));
  CHECK((best.rms_norm != rms_norm_ref));
  CHECK((best.softmax_row != softmax_row_ref));
}
