#include "base/lone_thread.h"

bool lone_thread_is_doubted;
