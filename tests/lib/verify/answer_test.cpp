// The rules of docs/answers.md as cases: what a completion says behind </think>, the reference, whether they agree.
#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "lib/verify/answer.h"
#include "lib/verify/answer_structure.h"
#include "lib/verify/exact_number.h"

using namespace ponder::core;

namespace {

struct AnswerCase {
  std::string_view completion, reference;
  bool equal;
};

constexpr AnswerCase kAnswerCases[] = {
    {R"(\boxed{42})", R"(42)", true},
    {R"(\boxed{ 42 })", R"(42)", true},
    {R"(The answer is \boxed{42}.)", R"(42)", true},
    {R"(\boxed{42.0})", R"(42)", true},
    {R"(\boxed{042})", R"(42)", true},
    {R"(\boxed{+42})", R"(42)", true},
    {R"(\boxed{-42})", R"(42)", false},
    {R"(\boxed{−42})", R"(-42)", true},
    {R"(\boxed{4 2})", R"(42)", false},
    {R"(\boxed{17+25})", R"(42)", false},
    {R"(42)", R"(42)", false},
    {R"(\boxed{41} then \boxed{42})", R"(42)", true},
    {R"(\boxed{42} or \boxed{43})", R"(42)", false},
    {R"(\boxed{42)", R"(42)", false},
    {R"(\boxed{})", R"(42)", false},
    {R"(\boxed 42)", R"(42)", true},
    {R"(\fbox{42})", R"(42)", true},
    {R"(\boxed{42, 43})", R"(42)", false},
    {R"(\boxed{\boxed{42}})", R"(42)", true},
    {R"(\boxed{\text{42}})", R"(42)", true},
    {R"(\boxed{$42$})", R"(42)", true},
    {R"(\boxed{42\text{ apples}})", R"(42)", true},
    {R"(\boxed{x = 42})", R"(42)", true},
    {R"(\boxed{7,425,000})", R"(7425000)", true},
    {R"(\boxed{7{,}425{,}000})", R"(7425000)", true},
    {R"(\boxed{7\,425\,000})", R"(7425000)", true},
    {R"(\boxed{1 000})", R"(1000)", true},
    {R"(\boxed{1,22})", R"(1.22)", false},
    {R"(\boxed{1.2\times 10^{3}})", R"(1200)", true},
    {R"(\boxed{1.2e3})", R"(1200)", true},
    {R"(\boxed{\frac{1}{2}})", R"(0.5)", true},
    {R"(\boxed{\dfrac12})", R"(\frac{1}{2})", true},
    {R"(\boxed{1/2})", R"(\frac{1}{2})", true},
    {R"(\boxed{\frac{2}{4}})", R"(\frac{1}{2})", true},
    {R"(\boxed{.5})", R"(0.5)", true},
    {R"(\boxed{-\frac{1}{2}})", R"(\frac{-1}{2})", true},
    {R"(\boxed{0.33})", R"(\frac{1}{3})", false},
    {R"(\boxed{0.333333})", R"(\frac{1}{3})", true},
    {R"(\boxed{1\frac{1}{2}})", R"(1.5)", true},
    {R"(\boxed{2.5000001})", R"(2.5)", false},
    {R"(\boxed{1000001})", R"(1000000)", false},
    {R"(\boxed{\sqrt{2}})", R"(\sqrt{2})", true},
    {R"(\boxed{\sqrt2})", R"(\sqrt{2})", true},
    {R"(\boxed{1.414214})", R"(\sqrt{2})", true},
    {R"(\boxed{1.41})", R"(\sqrt{2})", false},
    {R"(\boxed{\sqrt{8}})", R"(2\sqrt{2})", true},
    {R"(\boxed{\frac{\sqrt{2}}{2}})", R"(\frac{1}{\sqrt{2}})", true},
    {R"(\boxed{\sqrt{16}})", R"(4)", true},
    {R"(\boxed{2\pi})", R"(2\pi)", true},
    {R"(\boxed{6.283185})", R"(2\pi)", true},
    {R"(\boxed{\pi 2})", R"(2\pi)", true},
    {R"(\boxed{28\%})", R"(28\%)", true},
    {R"(\boxed{28})", R"(28\%)", true},
    {R"(\boxed{0.28})", R"(28\%)", true},
    {R"(\boxed{28\%})", R"(0.28)", true},
    {R"(\boxed{28})", R"(0.28)", false},
    {R"(\boxed{90^\circ})", R"(90)", true},
    {R"(\boxed{5\text{ cm}})", R"(5)", true},
    {R"(\boxed{5\text{ cm}})", R"(5\text{ m})", false},
    {R"(\boxed{\$5})", R"(5)", true},
    {R"(\boxed{(1,2)})", R"((1, 2))", true},
    {R"(\boxed{(2,1)})", R"((1,2))", false},
    {R"(\boxed{[0,1)})", R"([0,1))", true},
    {R"(\boxed{[0,1]})", R"([0,1))", false},
    {R"(\boxed{\left(\frac12, 3\right)})", R"((0.5,3))", true},
    {R"(\boxed{\{1,2\}})", R"(\{2,1\})", true},
    {R"(\boxed{2, 1})", R"(1,2)", true},
    {R"(\boxed{1,2,3})", R"(1,2)", false},
    {R"(\boxed{1 \text{ and } 2})", R"(1,2)", true},
    {R"(\boxed{(3,1)})", R"(\{1,3\})", false},
    {R"(\boxed{\pm 2})", R"(-2, 2)", true},
    {R"(\boxed{3\pm\sqrt{2}})", R"(3+\sqrt{2}, 3-\sqrt{2})", true},
    {R"(\boxed{x+1})", R"(1+x)", true},
    {R"(\boxed{2(x+3)})", R"(2x+6)", true},
    {R"(\boxed{x^2-1})", R"((x-1)(x+1))", true},
    {R"(\boxed{x+1})", R"(x+2)", false},
    {R"(\boxed{y+1})", R"(x+1)", false},
    {R"(\boxed{y=2x+3})", R"(y=3+2x)", true},
    {R"(\boxed{2x-y+3=0})", R"(y-2x-3=0)", true},
    {R"(\boxed{\begin{pmatrix}1&2\\3&4\end{pmatrix}})", R"(\begin{bmatrix}1 & 2\\ 3 & 4\end{bmatrix})", true},
    {R"(\boxed{\begin{pmatrix}1&2\\3&4\end{pmatrix}})", R"(\begin{pmatrix}1&2\\4&3\end{pmatrix})", false},
    {R"(\boxed{B})", R"(B)", true},
    {R"(\boxed{(B)})", R"(B)", true},
    {R"(\boxed{\text{B}})", R"(B)", true},
    {R"(\boxed{B. 17})", R"(B)", true},
    {R"(\boxed{A or B})", R"(B)", false},
    {R"(\boxed{\text{Evelyn}})", R"(evelyn)", true},
    {R"(\boxed{\text{yes}})", R"(Yes)", true},
    {R"(\boxed{no})", R"(Yes)", false},
    {R"(\boxed{101_2})", R"(101_{2})", true},
    {R"(\boxed{5!})", R"(120)", false},
    {R"(\boxed{2^{10}})", R"(1024)", false},
    {R"(\boxed{2^{10}})", R"(2^{10})", true},
    {R"(\boxed{\frac{1}{0}})", R"(1)", false},
    {R"(\boxed{９})", R"(9)", true},
    {R"(\boxed{\infty})", R"(\infty)", true},
    {R"(\boxed{9^{9^{9^{9}}}})", R"(1)", false},
    {"thinking \\boxed{42}</think>\n\nDone.", R"(42)", false},
    {"x</think>\n\n\\boxed{42}", R"(42)", true},
};

bool equal(std::string_view prediction, std::string_view reference) { return answers_equal(prediction, reference); }

}  // namespace

TEST_CASE("answers: the table of cases") {
  for (const AnswerCase& c : kAnswerCases) {
    CAPTURE(c.completion);
    CAPTURE(c.reference);
    CHECK(completion_answers(c.completion, false, c.reference) == c.equal);
  }
}

TEST_CASE("answers: what is longer than 512 bytes equals nothing, itself included") {
  const std::string nines(600, '9');
  CHECK_FALSE(completion_answers("\\boxed{" + nines + "}", false, "9"));
  CHECK_FALSE(equal(nines, nines));
  CHECK(equal(std::string(512, '9'), std::string(512, '9')));
}

TEST_CASE("answers: an open or reopened thinking block has no answer") {
  CHECK(completion_answers("so it is\n</think>\n\n\\boxed{7}", true, "7"));
  CHECK_FALSE(completion_answers("so it is \\boxed{7}", true, "7"));
  CHECK_FALSE(completion_answers("<think>so it is \\boxed{7}", false, "7"));
  CHECK_FALSE(completion_answers("a</think>\\boxed{7}</think> and more", true, "7"));
}

TEST_CASE("answers: ways to be paid without knowing") {
  CHECK_FALSE(equal("347+85", "432"));
  CHECK_FALSE(equal("(6)(7)", "42"));
  CHECK_FALSE(equal("6\\cdot 7", "42"));
  CHECK_FALSE(equal("17+25+0\\pi", "42"));
  CHECK_FALSE(equal("17+25=42", "42"));
  CHECK_FALSE(equal("41, 42, 43", "42"));
  CHECK_FALSE(equal("\\{41, 42\\}", "42"));
  CHECK_FALSE(equal("42 or 43", "42"));
  CHECK_FALSE(equal("\\pm 42", "42"));
  CHECK_FALSE(equal("4200\\%\\%", "42"));
  CHECK_FALSE(equal("x", "42"));
  CHECK_FALSE(equal("A, B, C, D", "C"));
  CHECK_FALSE(equal("\\frac{1}{3}\\text{ or }\\frac{1}{4}", "0.25"));
  CHECK_FALSE(equal("", ""));
  CHECK_FALSE(equal("{}", ""));
  CHECK_FALSE(equal("on", "no"));  // the letters of a word are no product
  AnswerOptions evaluation;
  evaluation.allow_unevaluated = true;
  CHECK(answers_equal("17+25", "42", evaluation));
  CHECK_FALSE(answers_equal("17+26", "42", evaluation));
}

TEST_CASE("answers: hostile input ends soon and is wrong") {
  for (const std::string& text :
       {std::string(500, '('), std::string(500, '{'), std::string(500, '-') + "1", std::string(250, '|'), "2" + std::string(500, '!'),
        std::string("\\frac{1}{") + std::string(400, '{'), std::string("9^9^9^9^9^9^9^9"), std::string("50!^{50!}"),
        std::string("\\sqrt[64]{\\sqrt[64]{2}}"), std::string("\\begin{pmatrix}"), std::string("\\end{"), std::string("^_^"),
        std::string("\xff\xfe\xf0\x9f"), std::string("\\"), std::string("\\text{"), std::string("1" + std::string(59, '0') + "0000")}) {
    CAPTURE(text);
    CHECK_FALSE(equal(text, "1"));
    CHECK_FALSE(equal("1", text));
    CHECK_FALSE(completion_answers("\\boxed{" + text, false, "1"));
  }
  std::string sum = "x", set = "1";
  for (int i = 0; i < 120; ++i) sum += "+x^9", set += ",(";
  CHECK_FALSE(equal(sum, "x"));
  CHECK_FALSE(equal(set, "1"));
  std::string power = "x";
  for (int i = 0; i < 30; ++i) power = "(" + power + ")^9";
  CHECK_FALSE(equal(power, "x"));
}

TEST_CASE("answers: numbers, units and names") {
  CHECK(equal("1{,}000", "1000"));
  CHECK(equal("-7,425.5", "-7425.5"));
  CHECK_FALSE(equal("1,00", "100"));
  CHECK(equal("2,000 \\text{ m}", "2000"));
  CHECK(equal("1 1/2", "1.5"));
  CHECK(equal("-1\\frac12", "-1.5"));
  CHECK(equal("1.2 \\times 10^{-3}", "0.0012"));
  CHECK(equal("5 cm", "5"));
  CHECK(equal("5\\text{ cm}^2", "5\\text{ cm}^{2}"));
  CHECK_FALSE(equal("5\\text{ cm}^2", "5\\text{ cm}^3"));
  CHECK(equal("12 miles", "12\\text{ mile}"));
  CHECK_FALSE(equal("5m", "5"));
  CHECK(equal("x_1 = 3", "3"));
  CHECK(equal("f(x) = 2x", "2x"));
  CHECK_FALSE(equal("y = 3", "x = 3"));
  CHECK(equal("x \\in [0,1)", "[0,1)"));
  CHECK(equal("2^{1/2}", "\\sqrt{2}"));
  CHECK(equal("\\sqrt[3]{8}", "2"));
  CHECK(equal("|{-3}|", "3"));
  CHECK(equal("\xc2\xbd", "0.5"));
  CHECK(equal("2\xcf\x80", "2\\pi"));
  CHECK_FALSE(equal("0.1", "0.10000001"));
}

TEST_CASE("answers: lists") {
  CHECK(equal("\\{100, 200\\}", "\\{200,100\\}"));
  CHECK_FALSE(equal("100,200", "\\{200,100\\}"));  // one number
  CHECK(equal("(-\\infty, 1)\\cup(2,3)", "(2,3) \\cup (-\\infty,1)"));
  CHECK_FALSE(equal("(-\\infty, 1]\\cup(2,3)", "(2,3) \\cup (-\\infty,1)"));
  CHECK(equal("x=1 \\text{ or } x=2", "1, 2"));
  CHECK_FALSE(equal("1, 1", "1"));
  CHECK_FALSE(equal("1", "1, 2"));
  CHECK(equal("(x+1, 2x)", "(1+x, x+x)"));
}

TEST_CASE("answers: the last number where there is no box, the tag where the template has one") {
  const auto number = [](std::string_view text) { return extract_answer(text, AnswerPlace::boxed_or_last_number).value_or("none"); };
  CHECK(number("first 12, then 3.5.") == "3.5");
  CHECK(number("it is -7") == "-7");
  CHECK(number("1,234 in all") == "1,234");
  CHECK(number("10-7") == "7");
  CHECK(number("\\boxed{1} is not 2") == "1");
  CHECK(number("nothing") == "none");
  CHECK(extract_answer("<answer> 5 </answer> x", AnswerPlace::answer_tag) == "5");
  CHECK_FALSE(extract_answer("<answer> 5", AnswerPlace::answer_tag));
}

TEST_CASE("exact numbers: large values, roots and what no longer fits") {
  const Rational ten = 10, two = 2;
  const auto googol = ten.power(100);
  REQUIRE(googol);
  CHECK((*googol * *googol.value().reciprocal()).value() == Rational(1));
  CHECK(googol->exact_root(100).value() == ten);
  CHECK(googol->exact_root(2).value() == ten.power(50).value());
  CHECK_FALSE((*googol + Rational(1)).value().exact_root(2));
  CHECK(two.power(511));
  CHECK_FALSE(two.power(512));
  const auto third = Rational::make(BigInt(1), BigInt(-3)).value();
  CHECK(third.is_negative());
  CHECK_FALSE(third.terminates());
  CHECK(Rational::parse_decimal("2.375", 60)->terminates());
  CHECK((third + third.negated()).value().is_zero());
  const auto a = ten.power(60).value() + Rational(7), b = ten.power(40).value() + Rational(3);
  BigInt quotient, remainder;
  divide(a->numerator(), b->numerator(), quotient, remainder);
  const auto back = add(multiply(quotient, b->numerator()).value(), remainder);
  CHECK(back.value() == a->numerator());
  CHECK(gcd((*a * *b).value().numerator(), b->numerator()) == b->numerator());
}
