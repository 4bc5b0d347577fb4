// usage: chat_window MODEL_FOLDER
#include <QApplication>
#include <cstdio>

#include "examples/chat_window/chat_window.h"

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  if (app.arguments().size() != 2) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER\n", argv[0]);
    return 2;
  }
  ChatWindow window(app.arguments()[1].toStdString());
  window.show();
  return QApplication::exec();
}
