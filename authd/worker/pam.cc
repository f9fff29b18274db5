#include "authd/worker/pam.h"

#include <security/pam_appl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace postcot::authd {

namespace {

struct Conversation {
    const Job& job;
    std::string said;   // PAM_ERROR_MSG and PAM_TEXT_INFO
};

void free_responses(struct pam_response* responses, int count) {
    for (int i = 0; i < count; ++i) free(responses[i].resp);
    free(responses);
}

int converse(int count, const struct pam_message** messages, struct pam_response** out, void* data) {
    auto* self = static_cast<Conversation*>(data);
    if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
    auto* responses =
        static_cast<struct pam_response*>(calloc(static_cast<size_t>(count), sizeof(struct pam_response)));
    if (!responses) return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) {
        switch (messages[i]->msg_style) {
            case PAM_PROMPT_ECHO_ON: responses[i].resp = strdup(self->job.user.c_str()); break;
            case PAM_PROMPT_ECHO_OFF: responses[i].resp = strdup(self->job.password.c_str()); break;
            case PAM_ERROR_MSG:
            case PAM_TEXT_INFO:
                if (messages[i]->msg && self->said.size() < 512)
                    self->said = std::string(messages[i]->msg).substr(0, 512);
                break;
            default: free_responses(responses, count); return PAM_CONV_ERR;
        }
    }
    *out = responses;
    return PAM_SUCCESS;
}

// authd delays failures itself, for all drivers alike: a worker must not sleep them out.
void no_delay(int, unsigned, void*) {}

Result result_of(int status) {
    switch (status) {
        case PAM_SUCCESS: return Result::kOk;
        case PAM_USER_UNKNOWN: return Result::kUserUnknown;
        case PAM_NEW_AUTHTOK_REQD:
        case PAM_ACCT_EXPIRED: return Result::kPassExpired;
        case PAM_AUTHINFO_UNAVAIL:
        case PAM_SYSTEM_ERR:
        case PAM_BUF_ERR:
        case PAM_ABORT: return Result::kInternalFailure;
        default: return Result::kMismatch;
    }
}

// Runs to the first call that fails; what it says about that goes to the log as Dovecot says it.
int authenticate(pam_handle_t* handle, const Job& job, JobAnswer& answer) {
    auto failed = [&](const char* call, int status) {
        answer.log = std::string(call) + "() failed: " + pam_strerror(handle, status);
        return status;
    };
    int status = pam_authenticate(handle, 0);
    if (status != PAM_SUCCESS) {
        failed("pam_authenticate", status);
        if (status == PAM_USER_UNKNOWN) answer.log = "unknown user";
        if (status == PAM_AUTH_ERR) answer.log += " (Password mismatch?)";
        std::string file = "/etc/pam.d/" + job.pam_service;
        struct stat st {};
        if (status != PAM_USER_UNKNOWN && stat(file.c_str(), &st) != 0 && errno == ENOENT) {
            answer.log += " (" + file + " missing?)";
            answer.log_error = true;
        }
        return status;
    }
    if (job.setcred && (status = pam_setcred(handle, PAM_ESTABLISH_CRED)) != PAM_SUCCESS)
        return failed("pam_setcred", status);
    if ((status = pam_acct_mgmt(handle, 0)) != PAM_SUCCESS) return failed("pam_acct_mgmt", status);
    if (job.session) {
        if ((status = pam_open_session(handle, 0)) != PAM_SUCCESS) return failed("pam_open_session", status);
        if ((status = pam_close_session(handle, 0)) != PAM_SUCCESS) return failed("pam_close_session", status);
    }
    const void* user = nullptr;
    if ((status = pam_get_item(handle, PAM_USER, &user)) != PAM_SUCCESS) return failed("pam_get_item", status);
    if (user) answer.user = static_cast<const char*>(user);
    return PAM_SUCCESS;
}

}   // namespace

JobAnswer run_pam(const Job& job) {
    JobAnswer answer;
    Conversation conversation{job, {}};
    struct pam_conv callbacks {
        converse, &conversation
    };
    pam_handle_t* handle = nullptr;
    int status = pam_start(job.pam_service.c_str(), job.user.c_str(), &callbacks, &handle);
    if (status != PAM_SUCCESS) {
        answer.log = std::string("pam_start() failed: ") + pam_strerror(handle, status);
        answer.log_error = true;
        return answer;
    }
    if (!job.remote_address.empty()) (void)pam_set_item(handle, PAM_RHOST, job.remote_address.c_str());
    (void)pam_set_item(handle, PAM_RUSER, job.user.c_str());
    (void)pam_set_item(handle, PAM_TTY, "dovecot");   // some modules (pam_time) cannot do without one
    (void)pam_set_item(handle, PAM_FAIL_DELAY, reinterpret_cast<const void*>(no_delay));
    status = authenticate(handle, job, answer);
    answer.result = result_of(status);
    if (answer.result == Result::kInternalFailure) answer.log_error = true;
    if (job.show_message && answer.result != Result::kOk) answer.message = conversation.said;
    int ended = pam_end(handle, status);
    if (ended != PAM_SUCCESS && answer.result == Result::kOk) {
        answer.result = Result::kInternalFailure;
        answer.log = "pam_end() failed";
        answer.log_error = true;
    }
    return answer;
}

}   // namespace postcot::authd
