// smtpd -S: what sendmail -bs runs. One SMTP session on standard input and output, with the caller's rights and in no sandbox: no_new_privs would
// take postdrop's set-gid bit away.
#pragma once

#include <string>

namespace postcot::smtpd {

// `directory` holds main.cf, or postfix/main.cf. The result is the exit status.
int run_stand_alone(const std::string& directory, bool verbose);

}   // namespace postcot::smtpd
