/* A host in C: asks the model in argv[1] by token ids and fails unless the answer is right. */
#include <stdio.h>
#include <string.h>

#include "ponder/ponder.h"

int main(int argc, char** argv) {
  const char* question = "What is 347+85?";
  int32_t ids[32] = {256, 258};
  size_t n = 2, i, length = 0;
  char answer[64] = "";
  ponder_error err;
  ponder_runtime* runtime = NULL;
  ponder_model* model = NULL;
  ponder_session* session = NULL;
  ponder_token_event event;
  ponder_status status = PONDER_E_INVALID_ARGUMENT;

  for (i = 0; i < strlen(question); ++i) ids[n++] = question[i];
  ids[n++] = 259, ids[n++] = 260, ids[n++] = 10; /* Assistant, <think>, newline */
  memset(&err, 0, sizeof err);
  memset(&event, 0, sizeof event);
  event.struct_size = (uint32_t)sizeof event;
  if (argc == 2 && (status = ponder_runtime_create(NULL, &runtime, &err)) == PONDER_OK &&
      (status = ponder_model_load(runtime, argv[1], NULL, &model, &err)) == PONDER_OK &&
      (status = ponder_session_create(runtime, model, NULL, &session, &err)) == PONDER_OK &&
      (status = ponder_session_prompt_ids(session, ids, n, NULL, NULL, &err)) == PONDER_OK)
    while ((status = ponder_session_next(session, &event, &err)) == PONDER_OK)
      if (event.channel == PONDER_CHANNEL_ANSWER && length + event.text_len < sizeof answer) {
        memcpy(answer + length, event.text, event.text_len);
        length += event.text_len;
      }
  ponder_runtime_free(runtime);
  ponder_model_free(model);
  ponder_session_free(session);
  printf("%s %s: '%s' %s\n", ponder_version(), ponder_status_name(status), answer, err.message);
  return status == PONDER_END && strcmp(answer, "\\boxed{432}") == 0 ? 0 : 1;
}
