// Running postdrop(1), which alone may write to $queue_directory/maildrop: for sendmail(1) and for smtpd's stand-alone mode.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "libproto/error.h"
#include "libproto/ipc/maildrop.h"
#include "libproto/runtime/fd.h"

namespace postcot::ipc {

// Descriptors 0, 1 and 2 that are closed become /dev/null.
void open_standard_descriptors();

// One message. Blocks: not for daemons. A PostdropRun that is destroyed before finish() leaves nothing in the maildrop.
class PostdropRun {
  public:
    // `program`: $command_directory/postdrop. `config_directory` holds main.cf. SIGPIPE must be ignored.
    static Expected<PostdropRun> start(const std::string& program, const std::string& config_directory,
                                       const MaildropHead& head);
    ~PostdropRun();
    PostdropRun(PostdropRun&& other) noexcept;
    PostdropRun& operator=(PostdropRun&&) = delete;

    bool write(std::string_view content);   // false: postdrop is gone; finish() has its exit status
    // The message is whole. The result is postdrop's exit status, 0 when the message is on disk; 75 when it was killed.
    int finish();
    int abandon();   // the message is not whole

  private:
    PostdropRun() = default;
    int wait();

    pid_t pid_ = -1;
    UniqueFd to_;
};

}   // namespace postcot::ipc
