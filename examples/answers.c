/* Several questions at once: a batch of sessions that share forward passes, with computed prompts kept in a folder and a LoRA
 * adapter. usage: answers_c MODEL_FOLDER CACHE_FOLDER ADAPTER_FOLDER SCALE QUESTION... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ponder/ponder.h"

#define MOST 16

static void append(char* text, size_t room, const ponder_token_event* token) {
  const size_t used = strlen(text), left = room - used - 1;
  const size_t n = token->text_len < left ? token->text_len : left;
  memcpy(text + used, token->text, n);
  text[used + n] = '\0';
}

int main(int argc, char** argv) {
  ponder_error err;
  ponder_runtime* runtime = NULL;
  ponder_model* model = NULL;
  ponder_adapter* adapter = NULL;
  ponder_batch* batch = NULL;
  ponder_session* sessions[MOST] = {NULL};
  ponder_batch_event events[MOST];
  char answers[MOST][256] = {{0}};
  ponder_session_params params = ponder_session_params_default();
  ponder_status status;
  size_t n = argc > 5 ? (size_t)argc - 5 : 0, count, i, k;

  if (n == 0 || n > MOST) {
    fprintf(stderr, "usage: %s MODEL_FOLDER CACHE_FOLDER ADAPTER_FOLDER SCALE QUESTION...\n", argv[0]);
    return 2;
  }
  err.message[0] = '\0';
  status = ponder_runtime_create(NULL, &runtime, &err);
  if (status == PONDER_OK) status = ponder_model_load(runtime, argv[1], NULL, &model, &err);
  if (status == PONDER_OK) status = ponder_adapter_load(runtime, model, argv[3], &adapter, &err);
  if (status == PONDER_OK) status = ponder_batch_create(runtime, model, NULL, &batch, &err);

  params.flags = PONDER_SESSION_DEFER_PREFILL; /* the batch computes the prompts */
  params.prompt_cache = argv[2];
  params.prompt_cache_min_tokens = 16;
  for (i = 0; i < n && status == PONDER_OK; ++i) {
    ponder_adapter_use use;
    memset(&use, 0, sizeof use);
    use.adapter = adapter;
    use.scale = (float)atof(argv[4]); /* 1: as it was trained */
    status = ponder_session_create(runtime, model, &params, &sessions[i], &err);
    if (status == PONDER_OK) status = ponder_session_set_adapters(sessions[i], &use, 1, &err);
    if (status == PONDER_OK) status = ponder_session_prompt(sessions[i], argv[5 + i], strlen(argv[5 + i]), &err);
    if (status == PONDER_OK) status = ponder_batch_add(batch, sessions[i], 0, &err);
  }

  for (i = 0; i < MOST; ++i) events[i].struct_size = (uint32_t)sizeof events[i];
  while (status == PONDER_OK && (status = ponder_batch_next(batch, events, MOST, &count, &err)) == PONDER_OK)
    for (i = 0; i < count; ++i)
      for (k = 0; k < n; ++k)
        if (events[i].session == sessions[k] && events[i].status == PONDER_OK &&
            events[i].token->channel == PONDER_CHANNEL_ANSWER)
          append(answers[k], sizeof answers[k], events[i].token);

  for (k = 0; k < n && status == PONDER_END; ++k) printf("%s %s\n", argv[5 + k], answers[k]);
  if (status < 0) fprintf(stderr, "%s\n", err.message);
  ponder_batch_free(batch);
  for (k = 0; k < n; ++k) ponder_session_free(sessions[k]);
  ponder_adapter_free(adapter);
  ponder_model_free(model);
  ponder_runtime_free(runtime);
  return status == PONDER_END ? 0 : 1;
}
