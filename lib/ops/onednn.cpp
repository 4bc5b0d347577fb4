#include "lib/ops/onednn.h"

#include "lib/base/dynamic_library.h"
#include "lib/base/format.h"

namespace ponder::core::ops {

Result<std::shared_ptr<const Onednn>> Onednn::load() {
  PONDER_ASSIGN(const DynamicLibrary library, DynamicLibrary::open_module("libponder-onednn.so"));
  auto* entry = reinterpret_cast<ponder_onednn_entry_fn*>(library.symbol("ponder_onednn_entry"));
  const ponder_onednn_table* table = entry ? entry(PONDER_ONEDNN_ABI) : nullptr;
  if (!table || table->struct_size < sizeof(ponder_onednn_table) || table->abi != PONDER_ONEDNN_ABI)
    return fail(Code::unsupported, "libponder-onednn.so offers no table of version {}", PONDER_ONEDNN_ABI);
  auto module = std::make_shared<Onednn>();
  module->table = table;
  return std::shared_ptr<const Onednn>(std::move(module));
}

std::shared_ptr<const Onednn> Onednn::load_if_faster() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (!__builtin_cpu_supports("amx-bf16")) return nullptr;
  auto module = load();
  return module.ok() ? *module : nullptr;  // without the module our kernels do
#else
  return nullptr;
#endif
}

}  // namespace ponder::core::ops
