// IQ4_NL and IQ4_XS.
#pragma once

namespace ponder::kernels {
namespace {

// The values of the codes: a constant of the file format, ggml's kvalues_iq4nl.
constexpr signed char kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

}  // namespace
}  // namespace ponder::kernels
