/* The C ABI in one page: load a model, ask, stream thinking and answer.
 * usage: chat_c MODEL_FOLDER "What is 347+85?" */
#include <stdio.h>
#include <string.h>

#include "ponder/ponder.h"

static int fail(const char* what, const ponder_error* err) {
  fprintf(stderr, "%s: %s\n", what, err->message);
  return 1;
}

int main(int argc, char** argv) {
  ponder_error err;
  ponder_runtime* runtime = NULL;
  ponder_model* model = NULL;
  ponder_session* session = NULL;
  ponder_token_event event;
  ponder_channel channel = PONDER_CHANNEL_ANSWER;
  ponder_status status;
  int result = 1;

  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL_FOLDER QUESTION\n", argv[0]);
    return 2;
  }
  if (ponder_runtime_create(NULL, &runtime, &err) < 0) {
    fail("runtime", &err);
    goto done;
  }
  if (ponder_model_load(runtime, argv[1], NULL, &model, &err) < 0) {
    fail(argv[1], &err);
    goto done;
  }
  if (ponder_session_create(runtime, model, NULL, &session, &err) < 0 ||
      ponder_session_prompt(session, argv[2], strlen(argv[2]), &err) < 0) {
    fail("session", &err);
    goto done;
  }

  memset(&event, 0, sizeof event);
  event.struct_size = (uint32_t)sizeof event;
  while ((status = ponder_session_next(session, &event, &err)) == PONDER_OK) {
    if (event.channel != channel && event.text_len > 0) {
      printf(event.channel == PONDER_CHANNEL_THINKING ? "--- thinking\n" : "--- answer\n");
      channel = event.channel;
    }
    fwrite(event.text, 1, event.text_len, stdout);
    fflush(stdout);
  }
  printf("\n");
  if (status < 0)
    fail("generate", &err);
  else
    result = 0;

done: /* any order, NULL is fine */
  ponder_session_free(session);
  ponder_model_free(model);
  ponder_runtime_free(runtime);
  return result;
}
