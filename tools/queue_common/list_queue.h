// postqueue -p and -j, mailq, sendmail -bp: showq(8)'s two formats.
#pragma once

#include "libproto/config/postfix.h"

namespace postcot::tools {

// Exit status.
int list_queue(const config::MainCf& main, bool json, const char* program);

// What a tool says when the queue manager is not there: "postqueue: fatal: Queue report unavailable - mail system is down".
int report_down(const config::MainCf& main, const char* program, const char* what, int error);

}   // namespace postcot::tools
