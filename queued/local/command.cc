#include "queued/local/command.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "queued/local/headers.h"
#include "queued/local/results.h"

extern char** environ;

namespace postcot::queued {

namespace {

constexpr uint64_t kInMemory = 1 << 20;

Expected<void> write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        ssize_t n = write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot prepare the message for a command");
        data.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

// The command's standard input: a nameless file, so that a command that reads slowly or not at all holds nobody up.
struct FileForm {
    bool escape_from = false;   // pipe(8) flag >
    bool stuff_dots = false;    // pipe(8) flag .
    std::string_view line_end = "\n";
};

// The message with `before` and `after`, which are written as they are but for their line ends.
Expected<UniqueFd> message_file(const ipc::Deliver& deliver, int fd, std::string_view before, const FileForm& form,
                                std::string_view after) {
    UniqueFd out;
    if (deliver.size() > kInMemory) out = UniqueFd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!out) out = UniqueFd(memfd_create("message", MFD_CLOEXEC));
    if (!out) return fail_errno(errno, "cannot prepare the message for a command");
    const bool plain = !form.escape_from && !form.stuff_dots && form.line_end == "\n";
    bool at_start = true;
    std::string held;   // the beginning of a line, too short to be told from "From "
    auto put = [&](std::string_view piece, bool quote, bool last) -> Expected<void> {
        if (plain) return write_all(out.get(), piece);
        const std::string joined = held + std::string(piece);
        held.clear();
        std::string_view text = joined;
        std::string changed;
        changed.reserve(text.size() + 64);
        while (!text.empty()) {
            const size_t end = text.find('\n');
            const auto line = text.substr(0, end);
            if (end == std::string_view::npos && at_start && !last && line.size() < 5) {
                held = line;
                break;
            }
            if (at_start && quote && form.escape_from && line.substr(0, 5) == "From ") changed += '>';
            if (at_start && quote && form.stuff_dots && line.substr(0, 1) == ".") changed += '.';
            changed += line;
            at_start = end != std::string_view::npos;
            if (!at_start) break;
            changed += form.line_end;
            text.remove_prefix(end + 1);
        }
        return write_all(out.get(), changed);
    };
    if (auto ok = put(before, false, true); !ok) return fail(ok.error());
    if (auto ok = put(deliver.head, true, deliver.length == 0); !ok) return fail(ok.error());
    std::string chunk;
    for (uint64_t done = 0; done < deliver.length;) {
        chunk.resize(static_cast<size_t>(std::min<uint64_t>(64 * 1024, deliver.length - done)));
        ssize_t n = pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(deliver.offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(EIO, "error reading message");
        done += static_cast<uint64_t>(n);
        const auto piece = std::string_view(chunk).substr(0, static_cast<size_t>(n));
        if (auto ok = put(piece, true, done == deliver.length); !ok) return fail(ok.error());
    }
    if (auto ok = put(after, false, true); !ok) return fail(ok.error());
    lseek(out.get(), 0, SEEK_SET);
    return out;
}

std::vector<std::string> own_environment() {
    std::vector<std::string> out;
    for (char** entry = environ; entry && *entry; ++entry) out.emplace_back(*entry);
    return out;
}

}   // namespace

Task<ipc::RecipientResult> run_command(const ipc::Deliver& deliver, int fd, const Action& action,
                                       const config::MainCf& main) {
    bool pipe = action.kind == Action::Kind::kPipe;
    const ipc::Recipient& recipient = deliver.recipients.front().recipient;
    std::string_view original = recipient.original.empty() ? recipient.address : recipient.original;

    auto has = [&](char flag) { return action.flags.find(flag) != std::string::npos; };
    std::string before;
    if (pipe) {
        // pipe(8) flags: F "From " line, D Delivered-To, O X-Original-To, R Return-Path, > escapes "From ", . a dot, B an empty line at the end.
        if (has('F')) before += mbox_from_line(deliver.sender, deliver.arrival_seconds);
        std::string headers = delivery_headers(deliver.sender, has('O') ? original : std::string_view(),
                                               has('D') ? std::string_view(action.delivered_to) : std::string_view());
        if (!has('R')) headers.erase(0, headers.find('\n') + 1);
        before += headers;
    } else {
        auto prepend = main.list("prepend_delivered_header");
        bool delivered = std::find(prepend.begin(), prepend.end(), "command") != prepend.end();
        before = mbox_from_line(deliver.sender, deliver.arrival_seconds);
        before += delivery_headers(deliver.sender, original,
                                   delivered ? std::string_view(action.delivered_to) : std::string_view());
    }
    FileForm form;
    form.escape_from = pipe && has('>');
    form.stuff_dots = pipe && has('.');
    if (action.crlf) form.line_end = "\r\n";
    auto input = message_file(deliver, fd, before, form, pipe && has('B') ? "\n" : "");
    if (!input) co_return deferred("4.3.0", input.error().text);

    SubprocessOptions options;
    std::vector<std::string> inherited = own_environment();
    if (pipe) {
        options.argv = action.argv;
        options.environment = action.environment;
        options.directory = action.directory;
    } else {
        options.environment = command_environment(deliver, action, main, inherited);
        options.argv = plain_command_words(action.path);
        std::string shell = main.str("local_command_shell");
        if (!shell.empty()) {
            options.argv = plain_command_words(shell);
            options.argv.push_back("-c");
            options.argv.push_back(action.path);
        } else if (options.argv.empty()) {
            options.argv = {"/bin/sh", "-c", action.path};
        }
        options.directory = main.str("command_execution_directory");
        if (options.directory.empty()) options.directory = main.str("queue_directory");
    }
    options.stdin_fd = input->get();
    std::chrono::seconds limit = main.time("command_time_limit");
    if (pipe) limit = main.transport_time(deliver.transport, "time_limit");
    std::string name = pipe ? action.argv.front() : action.path;
    auto result = co_await run_subprocess(std::move(options), std::chrono::duration_cast<Millis>(limit));
    if (!result) co_return deferred("4.3.0", result.error().text);
    std::string done =
        pipe ? "delivered via " + deliver.transport + " service" : "delivered to command: " + action.path;
    auto answer = command_result(name, *result, done);
    answer.relayed_without_dsn =
        pipe && !has('X');   // pipe(8): another system's business from here on, unless it is final
    co_return answer;
}

}   // namespace postcot::queued
