// queued --hand-back and queued --export: what there is of mail is given to another mail system (postfix_queue/hand_back.h), while queued does not run.
#pragma once

#include <string>

#include "queued/parent.h"

namespace postcot::queued {

struct HandBackRequest {
    bool wanted = false;
    std::string folder;   // export; empty: to Postfix
    bool keep = false;
};

// Says what it did on standard output, errors on standard error; the exit status.
int run_hand_back(Configuration configuration, const HandBackRequest& request);

}   // namespace postcot::queued
