#include "tools/queue_common/authorized.h"

#include <pwd.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "libproto/table/table.h"
#include "tools/queue_common/tool_config.h"

namespace postcot::tools {

void require_authorized(const config::MainCf& main, const char* program, const char* parameter, const char* to_do) {
    const std::string users = main.str(parameter);
    if (users == "static:anyone" || users == "static:all") return;
    const uid_t uid = ::getuid();
    if (std::string_view(parameter) != "authorized_submit_users") {
        if (uid == 0) return;
        const passwd* owner = ::getpwnam(main.str("mail_owner").c_str());
        if (owner && owner->pw_uid == uid) return;
    }
    const passwd* entry = ::getpwuid(uid);
    const std::string name = entry ? entry->pw_name : "unknown";
    auto list = table::MatchList::open(users, main, parameter);
    if (!list) die(program, 75, list.error().text);
    auto match = list->matches_domain(name);
    if (!match) die(program, 75, match.error().text);
    if (!*match) die(program, 77, "User " + name + "(" + std::to_string(uid) + ") is not allowed to " + to_do);
}

}   // namespace postcot::tools
