// exp for the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

namespace ponder::kernels {
namespace {

// exp(a + rest) = mantissa * first * second, the last two powers of two; |rest| is at most half an ulp of a.
// a = n ln 2 + r with |r| <= ln 2 / 2, and the Taylor series of exp(r) up to r^7 (error 5e-9).
struct ExpParts {
  Vec mantissa, first, second;
};
inline ExpParts exp_parts(Vec a, Vec rest) {
  // exp(-105) is 0 in f32, exp(89) infinity; NaN passes.
  a = min_or_second(set1(89.0f), max_or_second(set1(-105.0f), a));
  const Vec n = round_even(mul(a, set1(1.44269504f)));
  // ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cf8p-20: n times the first is exact.
  Vec r = fma(n, set1(-0x1.62e4p-1f), a);
  r = add(fma(n, set1(-0x1.7f7d1cp-20f), r), rest);
  Vec p = set1(1.0f / 5040);
  p = fma(p, r, set1(1.0f / 720));
  p = fma(p, r, set1(1.0f / 120));
  p = fma(p, r, set1(1.0f / 24));
  p = fma(p, r, set1(1.0f / 6));
  p = fma(p, r, set1(0.5f));
  p = fma(p, r, set1(1.0f));
  ExpParts parts;
  parts.mantissa = fma(p, r, set1(1.0f));
  powers_of_two(n, parts.first, parts.second);
  return parts;
}

// exp(a - b): the rounding error of the difference is carried along, as exp turns it into a relative error.
inline Vec exp_of_difference(Vec a, Vec b) {
  const Vec d = sub(a, b), back = sub(d, a);
  const Vec rest = nan_to_zero(sub(sub(a, sub(d, back)), add(b, back)));  // a or b infinite: NaN
  const ExpParts e = exp_parts(d, rest);
  return mul(mul(e.mantissa, e.first), e.second);
}

}  // namespace
}  // namespace ponder::kernels
