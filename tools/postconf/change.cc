// postconf -e, -X and -#, for main.cf and (with -M, -F, -P) master.cf.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <tuple>

#include "libproto/config/logical_lines.h"
#include "libproto/config/master_fields.h"
#include "libproto/config/read_text.h"
#include "tools/postconf/postconf.h"

namespace postcot::postconf {
namespace {

using config::EditAction;

[[noreturn]] void fatal_errno(const std::string& what) {
    auto error = fail_errno(errno, what);
    fatal(error.value().text);
}

// Opens and locks FILE.tmp, so that two editors take turns. Another one may have renamed it away while we waited: then again.
int lock_temporary(const std::string& path) {
    for (;;) {
        int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) fatal_errno("open " + path);
        if (::flock(fd, LOCK_EX) != 0) fatal_errno("lock " + path);
        struct stat mine {};
        struct stat named {};
        if (::fstat(fd, &mine) == 0 && ::stat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
            mine.st_dev == named.st_dev) {
            return fd;
        }
        ::close(fd);
    }
}

// Reads the file under lock, writes what `edit` makes of it beside it and renames that over it: readers see the old or the new file.
void update_file(const std::string& named, const std::function<Expected<std::string>(const std::string&)>& edit) {
    char resolved[PATH_MAX];   // a symbolic link stays one
    std::string path = ::realpath(named.c_str(), resolved) ? resolved : named;
    std::string temporary = path + ".tmp";
    int fd = lock_temporary(temporary);
    auto give_up = [&](const std::string& text) {
        ::unlink(temporary.c_str());
        fatal(text);
    };
    auto text = config::read_text(path);
    if (!text) give_up(text.error().text);
    struct stat old {};
    if (::stat(path.c_str(), &old) != 0) give_up("stat " + path);
    auto edited = edit(*text);
    if (!edited) give_up(edited.error().text);
    const std::string& changed = *edited;
    if (changed == *text) {
        ::unlink(temporary.c_str());
        ::close(fd);
        return;
    }
    bool good = ::ftruncate(fd, 0) == 0;
    size_t written = 0;
    while (good && written < changed.size()) {
        ssize_t n = ::write(fd, changed.data() + written, changed.size() - written);
        if (n < 0 && errno == EINTR) continue;
        good = n > 0;
        if (good) written += static_cast<size_t>(n);
    }
    good = good && (::geteuid() != 0 || ::fchown(fd, old.st_uid, old.st_gid) == 0) &&
           ::fchmod(fd, old.st_mode & 07777) == 0 && ::fsync(fd) == 0 && ::rename(temporary.c_str(), path.c_str()) == 0;
    if (!good) {
        auto error = fail_errno(errno, "write " + temporary);
        give_up(error.value().text);
    }
    ::close(fd);
}

EditAction action_of(const Options& options) {
    return options.edit ? EditAction::kSet : options.remove ? EditAction::kRemove : EditAction::kCommentOut;
}

void change_main(const Options& options) {
    std::vector<std::pair<std::string, std::string>> parameters;
    for (const auto& argument : options.arguments) {
        if (options.edit) {
            parameters.push_back(split_setting(argument));
            continue;
        }
        std::string name(config::trim(argument));
        if (name.starts_with('#')) fatal("-e, -X, or -# accepts no comment input");
        if (name.find('=') != std::string::npos) fatal("-X or -# requires names without value");
        parameters.emplace_back(std::move(name), std::string());
    }
    update_file(options.directory + "/main.cf", [&](const std::string& text) {
        return Expected<std::string>(config::edit_main_cf(text, action_of(options), parameters));
    });
}

// One request of -M, -F or -P.
struct Request {
    std::string argument;
    std::string service;   // "name/type"
    std::string part;      // field or parameter
    std::string value;
    config::MasterEntry entry;   // -Me
    bool matched = false;
};

Request read_request(const Options& options, const std::string& argument) {
    Request request;
    request.argument = argument;
    std::string name = argument;
    if (options.edit) std::tie(name, request.value) = split_setting(argument);
    request.service = name;
    size_t slash = name.rfind('/');
    if (options.what != 'M') {
        if (slash == std::string::npos || name.find('/') == slash)
            fatal("expected service/type/name in \"" + argument + '"');
        request.service = name.substr(0, slash);
        request.part = name.substr(slash + 1);
        if (options.what == 'F' && field_index(request.part) < 0)
            fatal("invalid service attribute name: \"" + request.part + '"');
    } else if (slash == std::string::npos) {
        fatal("expected service/type in \"" + argument + '"');
    }
    if (options.what == 'F') {
        auto words = config::split_master_fields(request.value);
        if (!words || words->empty() || (request.part != "command" && words->size() != 1)) {
            fatal("bad value for a service field: \"" + argument + '"');
        }
        if (request.part == "command" && !config::parse_master_entry("s unix n - n - - " + request.value)) {
            fatal("expected a command with its options: \"" + argument + '"');
        }
    }
    if (options.what == 'P' && options.edit) {
        config::MasterEntry trial{{"s", "unix", "n", "-", "n", "-", "-", "x"}, {}, 0};
        trial.set_override(request.part, request.value);
        auto read_back = config::parse_master_entry(trial.format(false));
        if (!read_back) fatal(read_back.error().text + ": \"" + argument + '"');
    }
    if (options.what == 'M' && options.edit) {
        auto entry = config::parse_master_entry(request.value);
        if (!entry) fatal(entry.error().text + ": \"" + argument + '"');
        request.entry = std::move(*entry);
    }
    return request;
}

void set_field(config::MasterEntry& entry, const Request& request) {
    int index = field_index(request.part);
    if (index != 7) {
        entry.fields[static_cast<size_t>(index)] = request.value;
        return;
    }
    std::string line;
    for (size_t i = 0; i < 7; ++i) line += entry.fields[i] + ' ';
    entry = std::move(*config::parse_master_entry(line + request.value));   // read_request() tried it
}

void apply(const Options& options, const Request& request, config::MasterPiece& piece) {
    if (options.what == 'M') {
        if (options.edit) {
            piece.entry = request.entry;
            piece.changed = true;
        } else {
            piece.text = options.remove ? std::string() : config::comment_out(piece.text);
            piece.is_entry = false;
        }
        return;
    }
    if (options.what == 'P' && options.remove && piece.entry.find_override(request.part) == std::string::npos) return;
    piece.changed = true;
    if (options.what == 'F') {
        set_field(piece.entry, request);
    } else if (options.edit) {
        piece.entry.set_override(request.part, request.value);
    } else {
        piece.entry.remove_override(request.part);
    }
}

void change_master(const Options& options) {
    if (options.comment && options.what != 'M')
        fatal(std::string("with option -") + options.what + ", do not specify -#");
    if (options.remove && options.what == 'F') fatal("with option -F, do not specify -X");
    std::vector<Request> requests;
    for (const auto& argument : options.arguments) requests.push_back(read_request(options, argument));
    std::string path = options.directory + "/master.cf";
    update_file(path, [&](const std::string& text) {
        auto pieces = config::split_master_cf(text, path);
        if (!pieces) return Expected<std::string>(fail(pieces.error()));
        for (auto& request : requests) {
            for (auto& piece : *pieces) {
                if (!piece.is_entry || !names_service(request.service, piece.entry)) continue;
                request.matched = true;
                apply(options, request, piece);
            }
            if (request.matched) continue;
            if (options.what == 'M' && options.edit) {
                config::MasterPiece fresh;
                fresh.is_entry = fresh.changed = true;
                fresh.entry = request.entry;
                pieces->push_back(std::move(fresh));
            } else {
                warn("unmatched service_name/type: \"" + request.argument + '"');
            }
        }
        return Expected<std::string>(config::join_master_cf(*pieces));
    });
}

}   // namespace

void change(const Options& options) {
    if (options.arguments.empty())
        fatal(options.edit ? "-e requires name=value argument" : "-X or -# requires a name argument");
    if (options.what == 'p') {
        change_main(options);
    } else {
        change_master(options);
    }
}

}   // namespace postcot::postconf
