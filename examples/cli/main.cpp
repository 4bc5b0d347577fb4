// ponder: run, inspect and measure DeepSeek models from a terminal.
#include <cstdio>

#include "examples/cli/common.h"

int main(int argc, char** argv) {
  CLI::App app("ponder: the DeepSeek R1 system on your own machine");
  app.set_version_flag("--version", PONDER_VERSION_STRING);
  app.require_subcommand(1);
  cli::add_run(app);
  cli::add_inspect(app);
  cli::add_quantize(app);
  cli::add_imatrix(app);
  cli::add_list(app);
  cli::add_tokenize(app);
  cli::add_template(app);
  cli::add_logits(app);
  cli::add_embed(app);
  cli::add_bench(app);
  cli::add_perplexity(app);
  cli::add_compare(app);
  cli::add_selftest(app);
  cli::add_manual(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e);
  } catch (const cli::Failure& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "ponder: %s\n", e.message.c_str());
    return 1;
  } catch (const std::exception& e) {
    std::fflush(stdout);
    std::fprintf(stderr, "ponder: %s\n", e.what());
    return 1;
  }
  return 0;
}
