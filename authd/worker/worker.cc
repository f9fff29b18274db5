#include "authd/worker/worker.h"

#include <openssl/crypto.h>
#include <shadow.h>
#include <sys/socket.h>

#include <cerrno>
#include <ctime>

#include "authd/worker/job.h"
#include "authd/worker/pam.h"
#include "libproto/sasl/password.h"

namespace postcot::authd {

namespace {

constexpr int kMaxJobs = 100;   // PAM modules leak; as Dovecot's passdb pam max_requests

JobAnswer shadow(const Job& job) {
    JobAnswer answer;
    char buffer[16384];
    struct spwd entry, *found = nullptr;
    int error = getspnam_r(job.user.c_str(), &entry, buffer, sizeof buffer, &found);
    if (!found) {
        answer.result = error == EACCES ? Result::kInternalFailure : Result::kUserUnknown;
        answer.log = error == EACCES ? "getspnam() failed: Permission denied" : "unknown user";
        answer.log_error = error == EACCES;
        return answer;
    }
    long today = static_cast<long>(time(nullptr) / 86400);
    if (found->sp_expire >= 0 && found->sp_expire <= today) {
        answer.result = Result::kUserDisabled;
        answer.log = "account expired";
        return answer;
    }
    if (!job.check_password) {
        answer.result = Result::kOk;
        return answer;
    }
    std::string stored = found->sp_pwdp ? found->sp_pwdp : "";
    if (stored.size() < 4) {   // "*", "!", "x": no password opens it
        answer.result = Result::kUserDisabled;
        answer.log = "invalid password field";
        return answer;
    }
    auto right = sasl::verify_password(job.password, stored, "CRYPT");
    OPENSSL_cleanse(stored.data(), stored.size());
    if (!right) {
        answer.log = right.error().text;
        answer.log_error = true;
    } else if (*right) {
        answer.result = Result::kOk;
    } else {
        answer.result = Result::kMismatch;
        answer.log = "Password mismatch";
    }
    return answer;
}

}   // namespace

int run_worker(int socket) {
    std::string buffer(kMaxJob, '\0');
    for (int count = 0; count < kMaxJobs; ++count) {
        ssize_t got;
        do got = recv(socket, buffer.data(), buffer.size(), 0);
        while (got < 0 && errno == EINTR);
        if (got <= 0) return 0;
        ipc::Reader reader(std::string_view(buffer.data(), static_cast<size_t>(got)));
        Job job = Job::decode(reader);
        OPENSSL_cleanse(buffer.data(), static_cast<size_t>(got));
        JobAnswer answer;
        if (!reader.ok())
            answer.log = "broken job";
        else if (job.driver == "pam")
            answer = run_pam(job);
        else if (job.driver == "shadow")
            answer = shadow(job);
        else
            answer.log = "unknown driver";
        answer.last = count + 1 == kMaxJobs;
        OPENSSL_cleanse(job.password.data(), job.password.size());
        ipc::Writer writer;
        answer.encode(writer);
        if (send(socket, writer.bytes().data(), writer.bytes().size(), MSG_NOSIGNAL) < 0) return 0;
    }
    return 0;
}

}   // namespace postcot::authd
