#include "lib/verify/exact_number.h"

#include <bit>
#include <cmath>
#include <utility>

namespace ponder::core {

BigInt::BigInt(std::int64_t value) : negative_(value < 0) {
  std::uint64_t magnitude = value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
  for (; magnitude != 0; magnitude >>= 32) limb_[n_++] = static_cast<std::uint32_t>(magnitude);
}

void BigInt::trim() {
  while (n_ > 0 && limb_[n_ - 1] == 0) --n_;
  if (n_ == 0) negative_ = false;
}

BigInt BigInt::negated() const {
  BigInt r = *this;
  r.negative_ = !is_zero() && !negative_;
  return r;
}

std::optional<std::int64_t> BigInt::small() const {
  if (n_ > 2) return std::nullopt;
  const std::uint64_t magnitude = limb_[0] | static_cast<std::uint64_t>(limb_[1]) << 32;
  if (magnitude > INT64_MAX) return std::nullopt;
  return negative_ ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
}

double BigInt::to_double() const {
  double sum = 0;
  for (std::size_t i = n_; i-- > 0;) sum = sum * 4294967296.0 + limb_[i];
  return negative_ ? -sum : sum;
}

std::size_t BigInt::n_bits() const {
  return n_ == 0 ? 0 : 32 * n_ - static_cast<std::size_t>(std::countl_zero(limb_[n_ - 1]));
}

void BigInt::set_bit(std::size_t i) {
  limb_[i / 32] |= 1u << (i % 32);
  if (n_ < i / 32 + 1) n_ = i / 32 + 1;
}

void BigInt::shift_right() {
  for (std::size_t i = 0; i < n_; ++i) limb_[i] = limb_[i] >> 1 | (i + 1 < n_ ? limb_[i + 1] << 31 : 0);
  trim();
}

void BigInt::shift_left() {
  std::uint32_t carry = 0;
  for (std::size_t i = 0; i < n_; ++i) carry = std::exchange(limb_[i], limb_[i] << 1 | carry) >> 31;
  if (carry != 0) limb_[n_++] = carry;
}

int BigInt::compare_magnitude(const BigInt& a, const BigInt& b) {
  if (a.n_ != b.n_) return a.n_ < b.n_ ? -1 : 1;
  for (std::size_t i = a.n_; i-- > 0;)
    if (a.limb_[i] != b.limb_[i]) return a.limb_[i] < b.limb_[i] ? -1 : 1;
  return 0;
}

BigInt BigInt::subtract_magnitude(const BigInt& a, const BigInt& b) {
  BigInt r;
  std::int64_t borrow = 0;
  for (std::size_t i = 0; i < a.n_; ++i) {
    const std::int64_t difference = static_cast<std::int64_t>(a.limb_[i]) - b.limb_[i] - borrow;
    borrow = difference < 0;
    r.limb_[i] = static_cast<std::uint32_t>(difference);
  }
  r.n_ = a.n_;
  r.trim();
  return r;
}

std::optional<BigInt> add(const BigInt& a, const BigInt& b) {
  if (a.negative_ != b.negative_) {
    const bool a_larger = BigInt::compare_magnitude(a, b) >= 0;
    BigInt r = a_larger ? BigInt::subtract_magnitude(a, b) : BigInt::subtract_magnitude(b, a);
    r.negative_ = !r.is_zero() && (a_larger ? a.negative_ : b.negative_);
    return r;
  }
  BigInt r;
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < BigInt::kLimbs; ++i) {
    carry += static_cast<std::uint64_t>(a.limb_[i]) + b.limb_[i];
    r.limb_[i] = static_cast<std::uint32_t>(carry);
    carry >>= 32;
  }
  if (carry != 0) return std::nullopt;
  r.n_ = BigInt::kLimbs;
  r.negative_ = a.negative_;
  r.trim();
  return r;
}

std::optional<BigInt> multiply(const BigInt& a, const BigInt& b) {
  if (a.is_zero() || b.is_zero()) return BigInt();
  if (a.n_ + b.n_ > BigInt::kLimbs + 1) return std::nullopt;
  std::array<std::uint32_t, BigInt::kLimbs + 1> product{};
  for (std::size_t i = 0; i < a.n_; ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < b.n_; ++j) {
      carry += static_cast<std::uint64_t>(a.limb_[i]) * b.limb_[j] + product[i + j];
      product[i + j] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) {
      if (i + b.n_ > BigInt::kLimbs) return std::nullopt;
      product[i + b.n_] = static_cast<std::uint32_t>(carry);
    }
  }
  if (product[BigInt::kLimbs] != 0) return std::nullopt;
  BigInt r;
  for (std::size_t i = 0; i < BigInt::kLimbs; ++i) r.limb_[i] = product[i];
  r.n_ = BigInt::kLimbs;
  r.negative_ = a.negative_ != b.negative_;
  r.trim();
  return r;
}

void divide(const BigInt& a, const BigInt& b, BigInt& quotient, BigInt& remainder) {
  quotient = {}, remainder = {};
  if (const auto x = a.small(), y = b.small(); x && y) {
    const std::int64_t p = *x < 0 ? -*x : *x, q = *y < 0 ? -*y : *y;
    quotient = p / q, remainder = p % q;
    return;
  }
  for (std::size_t i = a.n_bits(); i-- > 0;) {
    // The remainder is below b < 2^512; doubled it may need one bit more, which the comparison below takes off again.
    const bool top = remainder.n_bits() == 32 * BigInt::kLimbs;
    if (top) {  // 2 r + bit - b = r - (b - r - bit)
      BigInt rest = BigInt::subtract_magnitude(b, remainder);
      rest.negative_ = false;
      if (a.bit(i)) rest = BigInt::subtract_magnitude(rest, BigInt(1));
      remainder = BigInt::subtract_magnitude(remainder, rest);
      quotient.set_bit(i);
      continue;
    }
    remainder.shift_left();
    if (a.bit(i)) remainder.set_bit(0);
    if (BigInt::compare_magnitude(remainder, b) >= 0) {
      remainder = BigInt::subtract_magnitude(remainder, b);
      quotient.set_bit(i);
    }
  }
}

BigInt gcd(BigInt a, BigInt b) {
  a.negative_ = b.negative_ = false;
  if (const auto x = a.small(), y = b.small(); x && y) {
    std::int64_t p = *x, q = *y;
    while (q != 0) p = std::exchange(q, p % q);
    return p;
  }
  if (a.is_zero()) return b;
  if (b.is_zero()) return a;
  std::size_t twos = 0;
  while (!a.bit(0) && !b.bit(0)) a.shift_right(), b.shift_right(), ++twos;
  while (!b.is_zero()) {
    while (!a.bit(0)) a.shift_right();
    while (!b.bit(0)) b.shift_right();
    if (BigInt::compare_magnitude(a, b) > 0) std::swap(a, b);
    b = BigInt::subtract_magnitude(b, a);
  }
  while (twos-- > 0) a.shift_left();
  return a;
}

bool operator==(const BigInt& a, const BigInt& b) {
  return a.negative_ == b.negative_ && BigInt::compare_magnitude(a, b) == 0;
}

std::optional<BigInt> BigInt::exact_root(int n) const {
  if (is_zero() || n == 1) return *this;
  BigInt root;
  for (std::size_t i = n_bits() / static_cast<std::size_t>(n) + 1; i-- > 0;) {  // bit by bit, from the top
    BigInt trial = root;
    trial.set_bit(i);
    std::optional<BigInt> power = trial;
    for (int k = 1; k < n && power; ++k) power = multiply(*power, trial);
    if (!power) continue;
    const int order = compare_magnitude(*power, *this);
    if (order == 0) return trial;
    if (order < 0) root = trial;
  }
  return std::nullopt;
}

std::optional<Rational> Rational::make(BigInt numerator, BigInt denominator) {
  if (denominator.is_zero()) return std::nullopt;
  if (denominator.is_negative()) numerator = numerator.negated(), denominator = denominator.negated();
  const BigInt common = gcd(numerator, denominator);
  Rational r;
  if (common.is_one()) {
    r.numerator_ = numerator, r.denominator_ = denominator;
    return r;
  }
  BigInt rest;
  divide(numerator, common, r.numerator_, rest);
  divide(denominator, common, r.denominator_, rest);
  if (numerator.is_negative()) r.numerator_ = r.numerator_.negated();
  return r;
}

std::optional<Rational> Rational::parse_decimal(std::string_view text, std::size_t max_digits) {
  std::optional<BigInt> numerator = BigInt(0), denominator = BigInt(1);
  std::size_t n_digits = 0;
  bool point = false;
  for (const char c : text) {
    if (c == '.') {
      if (std::exchange(point, true)) return std::nullopt;
      continue;
    }
    if (c < '0' || c > '9' || ++n_digits > max_digits) return std::nullopt;
    numerator = multiply(*numerator, 10);
    if (numerator) numerator = add(*numerator, c - '0');
    if (point) denominator = multiply(*denominator, 10);
    if (!numerator || !denominator) return std::nullopt;
  }
  if (n_digits == 0) return std::nullopt;
  return make(*numerator, *denominator);
}

bool Rational::terminates() const {
  BigInt rest = denominator_;
  for (const std::int64_t prime : {2, 5}) {
    for (BigInt quotient, remainder; !rest.is_one();) {
      divide(rest, prime, quotient, remainder);
      if (!remainder.is_zero()) break;
      rest = quotient;
    }
  }
  return rest.is_one();
}

Rational Rational::negated() const {
  Rational r = *this;
  r.numerator_ = numerator_.negated();
  return r;
}

std::optional<Rational> Rational::reciprocal() const { return make(denominator_, numerator_); }

std::optional<Rational> Rational::power(std::int64_t n) const {
  if (n < 0) {
    const auto inverse = reciprocal();
    return inverse ? inverse->power(-n) : std::nullopt;
  }
  std::optional<Rational> result = Rational(1);
  for (; n > 0 && result; --n) result = *result * *this;
  return result;
}

std::optional<Rational> Rational::exact_root(int n) const {
  if (is_negative()) {
    if (n % 2 == 0) return std::nullopt;
    const auto root = negated().exact_root(n);
    if (!root) return std::nullopt;
    return root->negated();
  }
  const auto p = numerator_.exact_root(n), q = denominator_.exact_root(n);
  if (!p || !q) return std::nullopt;
  return make(*p, *q);
}

std::optional<Rational> operator+(const Rational& a, const Rational& b) {
  const auto left = multiply(a.numerator_, b.denominator_), right = multiply(b.numerator_, a.denominator_);
  const auto denominator = multiply(a.denominator_, b.denominator_);
  if (!left || !right || !denominator) return std::nullopt;
  const auto numerator = add(*left, *right);
  if (!numerator) return std::nullopt;
  return Rational::make(*numerator, *denominator);
}

std::optional<Rational> operator*(const Rational& a, const Rational& b) {
  const auto numerator = multiply(a.numerator_, b.numerator_), denominator = multiply(a.denominator_, b.denominator_);
  if (!numerator || !denominator) return std::nullopt;
  return Rational::make(*numerator, *denominator);
}

}  // namespace ponder::core
