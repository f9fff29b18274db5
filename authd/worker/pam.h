// One PAM conversation.
#pragma once

#include "authd/worker/job.h"

namespace postcot::authd {

JobAnswer run_pam(const Job& job);

}   // namespace postcot::authd
