/* A host's shared library with ponder inside: exports plugin_ask alone. */
#include "ponder/ponder.h"

__attribute__((visibility("default"))) int plugin_ask(void) {
  ponder_runtime* runtime = NULL;
  const ponder_status status = ponder_runtime_create(NULL, &runtime, NULL);
  ponder_runtime_free(runtime);
  return status;
}
