#include "authd/worker/job.h"

namespace postcot::authd {

void Job::encode(ipc::Writer& w) const {
    w.str(driver);
    w.str(pam_service);
    w.boolean(session);
    w.boolean(setcred);
    w.boolean(show_message);
    w.str(user);
    w.str(password);
    w.str(remote_address);
    w.boolean(check_password);
}

Job Job::decode(ipc::Reader& r) {
    Job job;
    job.driver = r.str();
    job.pam_service = r.str();
    job.session = r.boolean();
    job.setcred = r.boolean();
    job.show_message = r.boolean();
    job.user = r.str();
    job.password = r.str();
    job.remote_address = r.str();
    job.check_password = r.boolean();
    return job;
}

void JobAnswer::encode(ipc::Writer& w) const {
    w.u8(static_cast<uint8_t>(result));
    w.str(user);
    w.str(log);
    w.boolean(log_error);
    w.str(message);
    w.boolean(last);
}

JobAnswer JobAnswer::decode(ipc::Reader& r) {
    JobAnswer answer;
    uint8_t result = r.u8();
    if (result <= static_cast<uint8_t>(Result::kNoLookup)) answer.result = static_cast<Result>(result);
    answer.user = r.str();
    answer.log = r.str();
    answer.log_error = r.boolean();
    answer.message = r.str();
    answer.last = r.boolean();
    if (!r.ok()) answer.result = Result::kInternalFailure;
    return answer;
}

}   // namespace postcot::authd
