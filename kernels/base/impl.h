// One implementation of a kernel: its function and what it needs. Each op lists its own, best first, the reference last.
#pragma once

#include <cstddef>

#include "kernels/base/isa.h"

namespace ponder::kernels {

template <class Fn>
struct Impl {
  Isa isa;
  Fn* fn;
};

// std::span without <span>: these headers are seen by files compiled with -mavx512f, which may include no STL.
template <class Fn>
struct ImplList {
  const Impl<Fn>* first;
  std::size_t count;
  const Impl<Fn>* begin() const { return first; }
  const Impl<Fn>* end() const { return first + count; }
};

// The first entry that the CPU supports and `cap` allows; the reference always qualifies.
template <class Fn>
Fn* pick(ImplList<Fn> list, Isa cap) {
  for (const Impl<Fn>& impl : list)
    if (impl.isa == Isa::ref || (isa_supported(impl.isa) && impl.isa <= cap)) return impl.fn;
  return nullptr;
}

}  // namespace ponder::kernels
